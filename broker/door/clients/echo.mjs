// Two of Laravel Echo's clients in one presence channel. It writes what they
// see, a line each, and ends.
import Echo from 'laravel-echo'
import Pusher from 'pusher-js'
import http from 'node:http'

const connect = () => new Echo({
  broadcaster: 'pusher', Pusher, key: process.env.ECHO_KEY, cluster: 'mt1', wsHost: process.env.ECHO_HOST, wsPort: Number(process.env.ECHO_PORT),
  forceTLS: false, enabledTransports: ['ws'], authEndpoint: process.env.ECHO_AUTH,
})
const say = text => process.stdout.write(text + '\n')

const ann = connect()
let bob
// Bob whispers when he is there and Ann has seen him come: whoever comes and
// goes within a moment is never told of.
let steps = 0
const step = () => {
  if (++steps < 2) return
  say('there')
  room.listenForWhisper('typing', whisper)
  bob.join('room').whisper('typing', { text: 'hello' })
}
const room = ann.join('room')
  .here(members => {
    say('here ' + members.length)
    bob = connect()
    bob.join('room').here(step)
  })
  .joining(step)
  .leaving(() => { say('leaving'); ann.disconnect(); process.exit(0) })

function whisper(w) {
  say('whisper ' + w.text)
  room.listen('.Said', m => { say('message ' + m.n); bob.leave('room') })
  http.get(process.env.ECHO_AUTH.replace('/auth', '/v2/send/1?') + new URLSearchParams({
    channel: btoa('presence-room'), event: btoa('Said'), data: btoa('{"n":1}'),
  }))
}
