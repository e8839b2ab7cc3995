// Preloaded into the suites of other services (node --require): their servers'
// names and fixed ports are places on this machine, as DOOR_ROUTES says, a JSON
// object of "host:port" to a port of 127.0.0.1. Nothing of it leaves the
// machine: what has no route is refused. Where a suite waits a fixed time for
// something not to happen, DOOR_WAIT shortens that (milliseconds to milliseconds).
'use strict'
const net = require('node:net')

const routes = JSON.parse(process.env.DOOR_ROUTES || '{}') || {}
const waits = JSON.parse(process.env.DOOR_WAIT || '{}') || {}
const own = new Set(['127.0.0.1', 'localhost', '::1'])

const connect = net.Socket.prototype.connect
net.Socket.prototype.connect = function (...args) {
  const list = Array.isArray(args[0]) ? args[0] : net._normalizeArgs(args)
  const options = list[0]
  if (options && options.port !== undefined && options.path === undefined | options.path === null) {
    const host = options.host || 'localhost'
    const port = routes[`${host}:${options.port}`]
    if (port !== undefined) {
      list[0] = { ...options, host: '127.0.0.1', port, lookup: undefined }
    } else if (!own.has(host)) {
      process.nextTick(() => this.destroy(new Error(`no route to ${host}:${options.port}`)))
      return this
    }
  }
  return connect.call(this, list)
}

// A proxy that a suite starts at a fixed port listens at a free one.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  if (routes[`listen:${port}`] === undefined) return listen.call(this, port, ...rest)
  this.once('listening', () => { routes[`localhost:${port}`] = this.address().port })
  return listen.call(this, 0, '127.0.0.1', ...rest)
}

const later = globalThis.setTimeout
globalThis.setTimeout = (fn, ms, ...args) => later(fn, waits[ms] ?? ms, ...args)
