// An independent client judges the network: it pairs, receives and sends every kind, and says what failed.
//
//   node witness.mjs [path of wharf-testnet]

import { createHash } from 'node:crypto'
import { decryptPollVote, downloadMediaMessage, jidNormalizedUser } from 'baileys'
import { Client } from './client.mjs'
import { groups } from './groups.mjs'
import { ANA, BOB, BOB_JID, EVE, start, until } from './network.mjs'

const sha256 = bytes => createHash('sha256').update(bytes).digest('hex')

// The client's Signal library tells its sessions, keys included, to the console.
if (!process.env.LOG) console.info = console.warn = console.error = () => {}

const network = await start(process.argv[2] ?? '../../../target/debug/wharf-testnet')
const { admin } = network
const results = []

/** Runs one check; a failure does not end the others. `known` says why it cannot pass with this client. */
async function check(name, run, known) {
  try {
    await run()
    results.push([name, 'ok'])
    console.log(`ok      ${name}`)
  } catch (error) {
    results.push([name, known ? 'known' : 'failed'])
    console.log(`${known ? 'known  ' : 'FAILED '} ${name}: ${error.message}${known ? ` (${known})` : ''}`)
  }
}

const must = (condition, what) => {
  if (!condition) throw new Error(what)
}
const post = body => admin('POST', `/accounts/${BOB}/messages`, { to: ANA, ...body })
const shown = async (phone, id) => (await admin('GET', `/accounts/${phone}/messages`)).find(one => one.id === id)

for (const phone of [ANA, BOB, EVE]) await admin('POST', '/accounts', { phone })
const client = new Client(network)

await check('pairing by QR and login', async () => {
  const qr = await until('a QR', () => client.qr)
  await admin('POST', `/accounts/${ANA}/scan`, { qr })
  await until('an open connection', () => client.open, 30_000)
})

await check('pairing by code', async () => {
  const other = new Client(network)
  await until('a QR', () => other.qr)
  const code = await other.sock.requestPairingCode(EVE)
  // The code is shown before the network has heard of it.
  await until('the code to be taken', () => admin('POST', `/accounts/${EVE}/pair-code`, { code }).catch(() => false))
  await until('an open connection', () => other.open, 30_000)
  const [device] = await admin('GET', `/accounts/${EVE}/devices`)
  must(device.connected, JSON.stringify(device))
  await other.sock.logout()
  await until('no device', async () => (await admin('GET', `/accounts/${EVE}/devices`)).length === 0)
  other.stop()
})

// What arrives: body, field of the message.
const inner = message =>
  message?.viewOnceMessageV2?.message ?? message?.documentWithCaptionMessage?.message ?? message ?? {}
const incoming = [
  [{ text: 'hello' }, 'conversation'],
  [{ text: 'see https://example.org', preview: { url: 'https://example.org', title: 'E' } }, 'extendedTextMessage'],
  [{ kind: 'image', size: 100_000, caption: 'c' }, 'imageMessage'],
  [{ kind: 'image', view_once: true }, 'imageMessage'],
  [{ kind: 'video', size: 300_000 }, 'videoMessage'],
  [{ kind: 'video_note' }, 'ptvMessage'],
  [{ kind: 'audio' }, 'audioMessage'],
  [{ kind: 'voice', seconds: 2 }, 'audioMessage'],
  [{ kind: 'document', file_name: 'a.pdf', caption: 'c' }, 'documentMessage'],
  [{ kind: 'sticker' }, 'stickerMessage'],
  [{ kind: 'location', latitude: 1, longitude: 2 }, 'locationMessage'],
  [{ kind: 'live_location', latitude: 1, longitude: 2 }, 'liveLocationMessage'],
  [{ kind: 'contact', name: 'Max', phone: EVE }, 'contactMessage'],
  [{ kind: 'contact', contacts: [{ name: 'Max' }, { name: 'Eve' }] }, 'contactsArrayMessage'],
  [{ kind: 'poll', question: 'Tea?', options: ['yes', 'no'], selectable: 1 }, 'pollCreationMessageV3'],
  [{ kind: 'event', name: 'Party', start: 1_800_000_000 }, 'eventMessage'],
  [{ kind: 'buttons_reply', id: '1', text: 'Yes' }, 'buttonsResponseMessage'],
  [{ kind: 'template_reply', id: '1', text: 'Yes' }, 'templateButtonReplyMessage'],
  [{ kind: 'list_reply', id: '1', text: 'Row' }, 'listResponseMessage'],
  [{ kind: 'interactive_reply', id: 'flow', text: 'Yes' }, 'interactiveResponseMessage'],
  [{ kind: 'order', order_id: '7', title: 'Cake' }, 'orderMessage'],
  [{ kind: 'product', product_id: '7', title: 'Cake' }, 'productMessage']
]
for (const [body, field] of incoming) {
  await check(`receives ${body.kind ?? 'text'} as ${field}${body.view_once ? ', once' : ''}`, async () => {
    const { ids, media } = await post(body)
    const message = await until('the message', () => client.message(ids[0]))
    must(inner(message.message)[field], `it came as ${Object.keys(inner(message.message))}`)
    if (media) {
      const bytes = await downloadMediaMessage(message, 'buffer', {})
      must(sha256(bytes) === media.sha256, 'the file is another')
    }
  })
}

await check('receives a reply with mention, forwarded, ephemeral', async () => {
  const [first] = (await post({ text: 'first' })).ids
  const { ids } = await post({ text: 'second', reply_to: first, mentions: [ANA], forwarded: true, ephemeral: 86_400 })
  const message = await until('the message', () => client.message(ids[0]))
  const context = message.message.extendedTextMessage.contextInfo
  must(context.stanzaId === first && context.quotedMessage.conversation === 'first', 'no quotation')
  must(context.mentionedJid.length === 1 && context.isForwarded && context.expiration === 86_400, 'options are lost')
})

await check('receives reaction, edit and deletion', async () => {
  const [id] = (await post({ text: 'helo' })).ids
  await post({ kind: 'reaction', message_id: id, emoji: '👍' })
  await post({ kind: 'edit', message_id: id, text: 'hello' })
  await post({ kind: 'revoke', message_id: id })
  await until('the reaction', () => client.seen.messages.find(one => one.message?.reactionMessage?.key?.id === id))
  const updates = wanted => () => client.seen.updates.find(one => one.key.id === id && wanted(one.update))
  await until('the edit', updates(update => update.message?.editedMessage))
  await until('the deletion', updates(update => update.message === null))
})

await check('sees what its own phone sends', async () => {
  const { ids } = await admin('POST', `/accounts/${ANA}/messages`, { to: BOB, kind: 'image', caption: 'from the phone' })
  const { key, message } = await until('the message', () => client.message(ids[0]))
  must(key.fromMe && inner(message).imageMessage.caption === 'from the phone', JSON.stringify(key))
})

await check('reads a vote in its own poll', async () => {
  const poll = await client.send(BOB_JID, { poll: { name: 'Cake?', values: ['now', 'later'], selectableCount: 1 } })
  await until('the poll', () => shown(BOB, poll.key.id))
  const { ids } = await post({ kind: 'poll_vote', message_id: poll.key.id, options: ['later'] })
  const { message } = await until('the vote', () => client.message(ids[0]))
  // Baileys hands votes over as they are; its own function opens them.
  const vote = decryptPollVote(message.pollUpdateMessage.vote, {
    pollEncKey: poll.message.messageContextInfo.messageSecret,
    pollCreatorJid: jidNormalizedUser(client.auth.creds.me.lid),
    pollMsgId: poll.key.id,
    voterJid: (await admin('POST', '/accounts', { phone: BOB })).lid
  })
  must(vote.selectedOptions.length === 1, 'no option was chosen')
  must(Buffer.from(vote.selectedOptions[0]).toString('hex') === sha256('later'), 'another option was chosen')
})

// What it sends: content, kind on the phone.
const file = Buffer.alloc(50_000, 7)
const LINK = { 'canonical-url': 'https://example.org', 'matched-text': 'https://example.org', title: 'E', description: 'D' }
const outgoing = [
  ['text', { text: 'hello' }],
  ['text', { text: 'hello @5511999999999', mentions: [BOB_JID] }],
  ['text', { text: 'see https://example.org', linkPreview: LINK }],
  ['image', { image: file, caption: 'c', jpegThumbnail: '' }],
  ['image', { image: file, viewOnce: true, jpegThumbnail: '' }],
  ['video', { video: file, jpegThumbnail: '' }],
  ['video', { video: file, gifPlayback: true, jpegThumbnail: '' }],
  ['video_note', { video: file, ptv: true, jpegThumbnail: '' }],
  ['audio', { audio: file, mimetype: 'audio/mp4', seconds: 1 }],
  ['voice', { audio: file, mimetype: 'audio/ogg; codecs=opus', ptt: true, seconds: 1, waveform: new Uint8Array(64) }],
  ['document', { document: file, mimetype: 'application/pdf', fileName: 'a.pdf', caption: 'c' }],
  ['sticker', { sticker: file }],
  ['location', { location: { degreesLatitude: 1, degreesLongitude: 2 } }],
  ['contact', { contacts: { displayName: 'Max', contacts: [{ displayName: 'Max', vcard: 'BEGIN:VCARD\nEND:VCARD' }] } }],
  ['poll', { poll: { name: 'Tea?', values: ['yes', 'no'], selectableCount: 1 } }],
  ['event', { event: { name: 'Party', startDate: new Date(1_800_000_000_000) } }],
  ['buttons_reply', { buttonReply: { id: '1', displayText: 'Yes', index: 0 }, type: 'plain' }],
  ['list_reply', { listReply: { title: 'Row', listType: 1, singleSelectReply: { selectedRowId: '1' } } }],
  ['template_reply', { buttonReply: { id: '1', displayText: 'Yes', index: 0 }, type: 'template' }],
  // Of this one Baileys' own function wants the group's picture first.
  ['group_invite', { relay: { groupInviteMessage: { groupJid: '120363000000000009@g.us', inviteCode: 'abc', caption: 'come' } } }],
  ['live_location', { relay: { liveLocationMessage: { degreesLatitude: 1, degreesLongitude: 2, sequenceNumber: 1 } } }],
  ['order', { relay: { orderMessage: { orderId: '7', orderTitle: 'Cake', itemCount: 1, token: 't' } } }]
]
for (const [kind, content] of outgoing) {
  await check(`sends ${Object.keys(content.relay ?? content).slice(0, 2).join(' ')}, read as ${kind}`, async () => {
    const { key } = content.relay ? await client.relay(BOB_JID, content.relay) : await client.send(BOB_JID, content)
    const seen = await until('it on the phone', () => shown(BOB, key.id))
    must(seen.kind === kind, `the phone takes it for ${seen.kind}`)
    if (seen.media) must(seen.media.intact && seen.media.sha256 === sha256(file), 'the file is not intact')
    if (content.viewOnce) must(seen.view_once, 'it can be opened again')
    if (content.gifPlayback) must(seen.content.gif, 'it is no GIF')
    if (content.linkPreview) must(seen.content.preview?.title === 'E', JSON.stringify(seen.content))
  })
}

await check('sends reply, reaction, edit, forward and deletion', async () => {
  const [id] = (await post({ text: 'answer this' })).ids
  const message = await until('the message', () => client.message(id))
  const reply = await client.send(BOB_JID, { text: 'here' }, { quoted: message })
  const seen = await until('the reply', () => shown(BOB, reply.key.id))
  must(seen.reply_to?.id === id, JSON.stringify(seen))
  await client.send(BOB_JID, { react: { text: '❤', key: reply.key } })
  await client.send(BOB_JID, { text: 'there', edit: reply.key })
  await client.send(BOB_JID, { forward: message, force: true })
  await client.send(BOB_JID, { delete: reply.key })
  const noted = await until('all of them', async () => {
    const one = await shown(BOB, reply.key.id)
    return one.revoked && one
  })
  must(noted.reactions?.[0]?.emoji === '❤' && noted.edits?.[0] === 'there', JSON.stringify(noted))
  must((await admin('GET', `/accounts/${BOB}/messages`)).some(one => one.forwarded), 'nothing was forwarded')
})

await check('learns what was delivered, read and played', async () => {
  const { key } = await client.send(BOB_JID, { text: 'read this' })
  const status = wanted => () => client.seen.updates.some(one => one.key.id === key.id && one.update.status === wanted)
  await until('the delivery', status(3))
  for (const [type, wanted] of [['read', 4], ['played', 5]]) {
    await admin('POST', `/accounts/${BOB}/receipts`, { ids: [key.id], type })
    await until(type, status(wanted))
  }
})

await check('says that it read', async () => {
  const [id] = (await post({ text: 'read me' })).ids
  const message = await until('the message', () => client.message(id))
  await client.sock.readMessages([message.key])
  await until('the receipt', async () =>
    (await admin('GET', `/accounts/${BOB}/receipts`)).some(one => one.id === id && one.type === 'read')
  )
})

await check('presence and typing in both directions', async () => {
  await client.sock.presenceSubscribe(BOB_JID)
  await admin('POST', `/accounts/${BOB}/presence`, { state: 'available' })
  const is = wanted => () =>
    client.seen.presence.some(one => Object.values(one.presences).some(two => two.lastKnownPresence === wanted))
  await until('available', is('available'))
  for (const state of ['composing', 'recording', 'paused']) {
    await admin('POST', `/accounts/${BOB}/presence`, { state, to: ANA })
    await until(state, is(state === 'paused' ? 'available' : state))
  }
  await client.sock.sendPresenceUpdate('recording', BOB_JID)
  await until('the phone to see it', async () => (await admin('GET', `/accounts/${BOB}/presence`)).at(-1)?.state === 'recording')
})

await check('a call rings, is rejected', async () => {
  const { id } = await admin('POST', `/accounts/${BOB}/calls`, { to: ANA, video: true })
  const call = await until('the offer', () => client.seen.calls.find(one => one.id === id && one.status === 'offer'))
  await client.sock.rejectCall(id, call.from)
  await until('the rejection', async () => (await admin('GET', `/accounts/${BOB}/calls`))[0].state === 'rejected')
})

await check('a call ends', async () => {
  const { id } = await admin('POST', `/accounts/${BOB}/calls`, { to: ANA })
  await admin('POST', `/accounts/${BOB}/calls/${id}/terminate`)
  await until('the end', () => client.seen.calls.find(one => one.id === id && ['timeout', 'terminate'].includes(one.status)))
})

await check('knows who is on WhatsApp', async () => {
  const found = await client.sock.onWhatsApp(BOB, '5511000000000')
  must(found.length === 1 && found[0].exists, JSON.stringify(found))
})

await groups({ check, must, post, shown, admin, client })

await check('asks again for what it cannot decrypt', async () => {
  await admin('POST', '/faults', { kind: 'corrupt', phone: ANA, times: 1 })
  const { ids } = await post({ text: 'spoilt on the way' })
  await until('the message', () => client.message(ids[0])?.message?.conversation)
})

await check('sends again what a phone cannot decrypt', async () => {
  await admin('POST', '/faults', { kind: 'deaf', phone: BOB, times: 1 })
  const { key } = await client.send(BOB_JID, { text: 'say that again' })
  await until('it on the phone', () => shown(BOB, key.id))
})

await check('backlog after a drop, and an empty queue', async () => {
  await admin('POST', '/faults', { kind: 'refuse', phone: ANA, for_ms: 1_000 })
  await admin('POST', '/faults', { kind: 'drop', phone: ANA })
  const { ids } = await post({ text: 'away', count: 5 })
  for (const id of ids) await until('the backlog', () => client.message(id), 30_000)
  await until('an empty queue', async () => (await admin('GET', '/stats')).unacked === 0)
})

await check('comes back after a stream error', async () => {
  const ends = client.seen.ends.length
  await admin('POST', '/faults', { kind: 'stream_error', phone: ANA, code: 503 })
  await until('the end', () => client.seen.ends.length > ends && client.open, 30_000)
  must(client.seen.ends.at(-1) === 503, `it ended with ${client.seen.ends.at(-1)}`)
})

for (const [kind, known] of [
  ['media_missing'],
  ['media_corrupt', 'it does not check what it downloads']
]) {
  await check(`a file under ${kind} is told as such`, async () => {
    const { ids } = await post({ kind: 'image' })
    const message = await until('the message', () => client.message(ids[0]))
    await admin('POST', '/faults', { kind, times: 1 })
    const result = await downloadMediaMessage(message, 'buffer', {}).then(bytes => bytes, () => undefined)
    must(result === undefined, `it took ${result?.length} bytes`)
  }, known)
}

await check('gets the phone\'s copy of what is left out', async () => {
  const { ids } = await post({ text: 'only there', unavailable: 'unknown' })
  const message = await until('the copy', () => client.message(ids[0]))
  must(message.message.conversation === 'only there', JSON.stringify(message.message))
})

await check('has a file that expired laid down again', async () => {
  const { ids, media } = await post({ kind: 'image', size: 3_000 })
  const message = await until('the message', () => client.message(ids[0]))
  await admin('DELETE', `/accounts/${BOB}/messages/${ids[0]}/media`)
  const gone = await downloadMediaMessage(message, 'buffer', {}).then(() => false, () => true)
  must(gone, 'it was still there')
  const bytes = await downloadMediaMessage(await client.sock.updateMediaMessage(message), 'buffer', {})
  must(sha256(bytes) === media.sha256, 'the file is another')
})

await check('a status update', async () => {
  const { ids } = await post({ to: 'status@broadcast', text: 'good morning' })
  const message = await until('the update', () => client.message(ids[0]))
  must(message.key.remoteJid === 'status@broadcast', JSON.stringify(message.key))
})

await check('what the phone sets: contact, mute, name', async () => {
  const set = body => admin('POST', `/accounts/${ANA}/settings`, body)
  await set({ contact: { phone: BOB, name: 'Bob of the harbour' } })
  await set({ mute: { chat: BOB, muted: true } })
  await set({ push_name: 'Ana Maria' })
  await until('the contact', () => client.seen.contacts.some(one => one.name === 'Bob of the harbour'))
  await until('the mute', () => client.seen.chats.some(one => one.muteEndTime))
  await until('the name', () => client.auth.creds.me.name === 'Ana Maria')
})

await check('what the device sets', async () => {
  await client.sock.chatModify({ mute: 8 * 3_600_000 }, `${EVE}@s.whatsapp.net`)
  const set = await admin('GET', `/accounts/${ANA}/settings`)
  must(set.some(one => one.index[0] === 'mute' && one.index[1].startsWith(EVE)), JSON.stringify(set))
})

await check('the phone\'s history', async () => {
  const { messages } = await admin('POST', `/accounts/${ANA}/history`)
  const { messages: came } = await until('the history', () => client.seen.history.at(-1))
  must(came.length === messages && came.some(one => one.message?.conversation === 'hello'), `${came.length} of ${messages}`)
})

await check('unlinked: logged out', async () => {
  await admin('DELETE', `/accounts/${ANA}/devices/1`)
  await until('401', () => client.seen.ends.includes(401))
})

client.stop()
network.stop()
const named = wanted => results.filter(([, result]) => result === wanted).map(([name]) => name)
const [passed, known, failed] = [named('ok'), named('known'), named('failed')]
console.log(`\n${passed.length} of ${results.length} passed; ${known.length} cannot with this client; ${failed.length} failed`)
process.exit(failed.length ? 1 : 0)
