// The network as the witness sees it: the program, its admin routes, its media store in the place of WhatsApp's hosts.

import { spawn } from 'node:child_process'
import http from 'node:http'
import https from 'node:https'
import { syncBuiltinESMExports } from 'node:module'
import { createInterface } from 'node:readline'

/** The account that the witness is a device of, and those it talks to. */
export const [ANA, BOB, EVE] = ['5511888888888', '5511999999999', '5511777777777']
export const BOB_JID = `${BOB}@s.whatsapp.net`

/** Starts the program and waits for the line that says where it listens. */
export async function start(program) {
  const child = spawn(program, ['--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const line = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`the network ended with ${code}`)))
    createInterface({ input: child.stdout }).once('line', resolve)
  })
  const said = JSON.parse(line)
  redirectMedia(said.media)
  return { ...said, stop: () => child.kill('SIGTERM'), admin: admin(said.admin) }
}

/** Calls of the admin routes; an answer other than 2xx is an error with the problem's text. */
function admin(base) {
  return async (method, path, body) => {
    const response = await fetch(base + path, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body)
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }
}

/** Whatever the client asks of an https host, it asks of the network's media store. */
function redirectMedia(media) {
  const target = new URL(media)
  const there = url => String(url).replace(/^https:\/\/[^/]+/, target.origin)
  const plainFetch = globalThis.fetch
  globalThis.fetch = (url, options) => plainFetch(String(url).startsWith('https://') ? there(url) : url, options)
  https.request = (options, callback) =>
    http.request({ ...options, agent: undefined, hostname: target.hostname, port: target.port }, callback)
  syncBuiltinESMExports()
}

/** Waits until `check` returns something. */
export async function until(what, check, limit = 15_000) {
  const end = Date.now() + limit
  for (;;) {
    const found = await check()
    if (found) return found
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
