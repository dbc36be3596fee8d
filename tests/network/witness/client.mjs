// The client: Baileys on keys in memory, and what it saw.

import makeWASocket, { Browsers, initAuthCreds, makeCacheableSignalKeyStore, proto } from 'baileys'
import { WA_CERT_DETAILS } from 'baileys/lib/Defaults/index.js'
import libraryLogger from 'baileys/lib/Utils/logger.js'
import P from 'pino'

const logger = P({ level: process.env.LOG ?? 'silent' })
// What the functions for communities write to, whatever logger they are given.
libraryLogger.level = logger.level

/** Keys that live as long as the program. */
function memory() {
  const data = {}
  return {
    creds: initAuthCreds(),
    keys: makeCacheableSignalKeyStore(
      {
        get: async (type, ids) => Object.fromEntries(ids.map(id => [id, data[`${type}-${id}`]])),
        set: async values => {
          for (const [type, entries] of Object.entries(values)) {
            for (const [id, value] of Object.entries(entries)) data[`${type}-${id}`] = value ?? undefined
          }
        }
      },
      logger
    )
  }
}

/** A client that connects again by itself, until it is logged out. */
export class Client {
  constructor(network) {
    WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(network.root, 'base64')
    this.ws = network.ws
    this.auth = memory()
    this.seen = {
      messages: [],
      updates: [],
      receipts: [],
      presence: [],
      calls: [],
      groups: [],
      members: [],
      asks: [],
      ends: [],
      history: [],
      chats: [],
      contacts: []
    }
    this.sent = new Map()
    this.open = false
    this.connect()
  }

  connect() {
    const sock = makeWASocket({
      auth: this.auth,
      waWebSocketUrl: this.ws,
      version: [2, 3000, 1030000000],
      browser: Browsers.ubuntu('Witness'),
      logger,
      syncFullHistory: false,
      markOnlineOnConnect: true,
      getMessage: async key => this.sent.get(key.id)
    })
    this.sock = sock
    sock.ev.on('creds.update', update => Object.assign(this.auth.creds, update))
    sock.ev.on('connection.update', ({ connection, qr, lastDisconnect }) => {
      if (qr) this.qr = qr
      if (connection === 'open') this.open = true
      if (connection === 'close') {
        this.open = false
        const code = lastDisconnect?.error?.output?.statusCode
        this.seen.ends.push(code)
        if (code !== 401 && !this.stopped) setTimeout(() => this.connect(), 100)
      }
    })
    const keep = (event, list) => sock.ev.on(event, what => list.push(...[what].flat()))
    sock.ev.on('messages.upsert', ({ messages }) => this.seen.messages.push(...messages))
    keep('messages.update', this.seen.updates)
    keep('message-receipt.update', this.seen.receipts)
    keep('presence.update', this.seen.presence)
    keep('call', this.seen.calls)
    keep('groups.update', this.seen.groups)
    keep('groups.upsert', this.seen.groups)
    keep('group-participants.update', this.seen.members)
    keep('group.join-request', this.seen.asks)
    keep('messaging-history.set', this.seen.history)
    keep('chats.update', this.seen.chats)
    keep('contacts.upsert', this.seen.contacts)
  }

  /** Sends and remembers, so that it can be sent again. */
  async send(jid, content, options) {
    const message = await this.sock.sendMessage(jid, content, options)
    this.sent.set(message.key.id, message.message)
    return message
  }

  /** Sends what Baileys has no words for, as it is. */
  async relay(jid, message) {
    const id = await this.sock.relayMessage(jid, message, {})
    this.sent.set(id, message)
    return { key: { id } }
  }

  /** The last of the messages with that id: one that could not be decrypted comes again. */
  message(id) {
    const found = this.seen.messages.filter(one => one.key.id === id && one.message)
    return found.at(-1)
  }

  stop() {
    this.stopped = true
    this.sock.end(undefined)
  }
}

export { proto }
