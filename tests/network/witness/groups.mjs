// What the witness does in groups and communities.

import { ANA, BOB, BOB_JID, EVE, until } from './network.mjs'

const EVE_JID = `${EVE}@s.whatsapp.net`

export async function groups({ check, must, post, shown, admin, client }) {
  const view = id => admin('GET', `/groups/${id}`)

  await check('a group of the phone, messages in both directions', async () => {
    const { id } = await admin('POST', '/groups', { subject: 'Tea', owner: BOB, participants: [ANA, EVE] })
    for (const text of ['first', 'second']) {
      const { ids } = await post({ to: id, text })
      const message = await until(`the ${text} message`, () => client.message(ids[0]))
      must(message.key.remoteJid === id && message.message.conversation === text, JSON.stringify(message.key))
    }
    const { key } = await client.send(id, { text: 'to all' })
    for (const phone of [BOB, EVE]) await until('it on the phones', () => shown(phone, key.id))
    await admin('PATCH', `/groups/${encodeURIComponent(id).replace('%40', '@')}`, { subject: 'More tea', remove: [EVE] })
    await until('the subject', () => client.seen.groups.some(one => one.subject === 'More tea'))
    await until('that Eve is gone', () => client.seen.members.some(one => one.action === 'remove'))
  })
  
  await check('a group of its own: create, add, promote, subject, leave', async () => {
    const { id } = await client.sock.groupCreate('Cake', [BOB_JID])
    await client.sock.groupParticipantsUpdate(id, [`${EVE}@s.whatsapp.net`], 'add')
    await client.sock.groupParticipantsUpdate(id, [BOB_JID], 'promote')
    await client.sock.groupUpdateSubject(id, 'More cake')
    const view = await admin('GET', `/groups/${id}`)
    must(view.subject === 'More cake' && view.participants.length === 3, JSON.stringify(view))
    must(view.participants.some(one => one.phone === BOB && one.role === 'admin'), JSON.stringify(view))
    must((await client.sock.groupMetadata(id)).participants.length === 3, 'the metadata differ')
    must(Object.keys(await client.sock.groupFetchAllParticipating()).includes(id), 'it is not in the list')
    await client.sock.groupLeave(id)
    must((await admin('GET', `/groups/${id}`)).participants.length === 2, 'it is still in')
  })
  
  await check('a community of its own: a group inside, one linked and unlinked', async () => {
    const { id } = await client.sock.communityCreate('Street', 'Who lives here')
    const metadata = await client.sock.groupMetadata(id)
    must(metadata.isCommunity && !metadata.linkedParent, 'it is no community')
    const { id: inside } = await client.sock.communityCreateGroup('Boats', [BOB_JID], id)
    must((await client.sock.groupMetadata(inside)).linkedParent === id, 'the group is not inside')
    const { id: tea } = await client.sock.groupCreate('Tea', [BOB_JID])
    await client.sock.communityLinkGroup(tea, id)
    const { linkedGroups } = await client.sock.communityFetchLinkedGroups(id)
    must(linkedGroups.map(one => one.subject).sort().join() === 'Boats,General,Street,Tea', JSON.stringify(linkedGroups))
    const all = Object.values(await client.sock.groupFetchAllParticipating())
    const announcement = all.find(one => one.isCommunityAnnounce && one.linkedParent === id)
    must(announcement.announce && announcement.participants.length === 2, 'the announcement group differs')
    const { ids } = await post({ to: inside, text: 'ahoy' })
    must((await until('the message', () => client.message(ids[0]))).key.remoteJid === inside, 'it came elsewhere')
    await client.sock.communityUnlinkGroup(tea, id)
    must(!(await client.sock.groupMetadata(tea)).linkedParent, 'it is still linked')
  })

  await check('what the phone sets in a group is told', async () => {
    const { id } = await admin('POST', '/groups', { subject: 'Rules', owner: BOB, participants: [ANA] })
    // Each is awaited before the next: Baileys puts changes together that come at once. What has members is the new group.
    for (const [set, key, value] of [
      [{ description: 'no shoes' }, 'desc', 'no shoes'],
      [{ announcement: true }, 'announce', true],
      [{ announcement: false }, 'announce', false],
      [{ locked: true }, 'restrict', true]
    ]) {
      await admin('PATCH', `/groups/${id}`, set)
      const told = one => one.id === id && one[key] === value && !one.participants
      await until(`${key} ${value}`, () => client.seen.groups.some(told))
    }
    await admin('PATCH', `/groups/${id}`, { ephemeral: 86_400 })
    const { ephemeralDuration, desc, restrict } = await client.sock.groupMetadata(id)
    must(ephemeralDuration === 86_400 && desc === 'no shoes' && restrict, 'the metadata differ')
  })

  await check('what it sets in a group: description, who writes and changes, how long, the link', async () => {
    const { id } = await client.sock.groupCreate('Rules', [BOB_JID])
    await client.sock.groupUpdateDescription(id, 'no shoes')
    await client.sock.groupSettingUpdate(id, 'announcement')
    await client.sock.groupSettingUpdate(id, 'locked')
    await client.sock.groupToggleEphemeral(id, 604_800)
    const set = await view(id)
    must(set.description === 'no shoes' && set.announcement && set.locked && set.ephemeral === 604_800, JSON.stringify(set))
    const code = await client.sock.groupInviteCode(id)
    must((await client.sock.groupGetInviteInfo(code)).subject === 'Rules', 'the link leads elsewhere')
    must((await client.sock.groupRevokeInvite(id)) !== code, 'the link is the same')
    const [{ status }] = await client.sock.groupParticipantsUpdate(id, [BOB_JID], 'remove')
    must(status === '200' && (await view(id)).participants.length === 1, 'Bob is still in it')
  })

  await check('joins a group by its link', async () => {
    const { id } = await client.sock.groupCreate('Open house', [BOB_JID])
    await client.sock.groupParticipantsUpdate(id, [BOB_JID], 'promote')
    const code = await client.sock.groupInviteCode(id)
    await client.sock.groupLeave(id)
    must((await client.sock.groupAcceptInvite(code)) === id, 'it is another group')
    must((await view(id)).participants.some(one => one.phone === ANA), 'it is not in')
  })

  await check('joins a group by an invitation that came as a message', async () => {
    const { id } = await admin('POST', '/groups', { subject: 'Crew', owner: BOB, participants: [EVE] })
    const { ids } = await post({ kind: 'group_invite', group: id, text: 'come' })
    const { key, message } = await until('the invitation', () => client.message(ids[0]))
    must(message.groupInviteMessage.groupJid === id, JSON.stringify(message))
    await client.sock.groupAcceptInviteV4(key, message.groupInviteMessage)
    must((await view(id)).participants.some(one => one.phone === ANA), 'it is not in')
  })

  await check('lets in who asks with the link', async () => {
    const { id } = await client.sock.groupCreate('Club', [BOB_JID])
    await client.sock.groupJoinApprovalMode(id, 'on')
    must((await client.sock.groupMetadata(id)).joinApprovalMode, 'the metadata differ')
    await admin('PATCH', `/groups/${id}`, { ask: [EVE] })
    const [{ jid }] = await client.sock.groupRequestParticipantsList(id)
    await until('that she asks', () => client.seen.asks.some(one => one.id === id && one.participant === jid))
    const [{ status }] = await client.sock.groupRequestParticipantsUpdate(id, [jid], 'approve')
    must(status === '200' && (await view(id)).participants.length === 3, 'Eve is not in it')
  })

  await check('in a group: a reply, a reaction, an edit, an admin\'s deletion, who has read', async () => {
    const { id } = await client.sock.groupCreate('Talk', [BOB_JID, EVE_JID])
    const { ids } = await post({ to: id, text: 'who is there?' })
    const message = await until('the message', () => client.message(ids[0]))
    const reply = await client.send(id, { text: 'me' }, { quoted: message })
    for (const phone of [BOB, EVE]) await until('the reply', async () => (await shown(phone, reply.key.id))?.reply_to?.id === ids[0])
    await client.send(id, { react: { text: '👍', key: message.key } })
    await client.send(id, { text: 'I am', edit: reply.key })
    await client.send(id, { delete: message.key })
    await until('all of them', async () => {
      const [mine, theirs] = [await shown(EVE, reply.key.id), await shown(EVE, ids[0])]
      return mine.edits?.[0] === 'I am' && theirs.reactions?.[0]?.emoji === '👍' && theirs.revoked
    })
    await admin('POST', `/accounts/${EVE}/receipts`, { ids: [reply.key.id], type: 'read' })
    await until('that Eve has read', () =>
      client.seen.receipts.some(one => one.key.id === reply.key.id && one.receipt.readTimestamp)
    )
  })

  await check('a community ends, its groups stay', async () => {
    const { id } = await client.sock.communityCreate('Square', 'Who meets here')
    const { id: inside } = await client.sock.communityCreateGroup('Market', [BOB_JID], id)
    // Baileys has no function for it.
    const end = [{ tag: 'delete_parent', attrs: {} }]
    await client.sock.query({ tag: 'iq', attrs: { type: 'set', xmlns: 'w:g2', to: id }, content: end })
    const left = (await admin('GET', '/groups')).filter(one => one.id === id || one.linked_parent === id)
    must(left.length === 0, JSON.stringify(left))
    must(!(await client.sock.groupMetadata(inside)).linkedParent, 'it is still linked')
  })
}
