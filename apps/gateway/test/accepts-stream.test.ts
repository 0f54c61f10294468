import { expect, test } from 'vitest'
import { acceptsStream } from '../src/live/accepts-stream.ts'

test('a stream is given where Accept names it and prefers no JSON', () => {
  for (const accept of [
    'text/event-stream',
    'Text/Event-Stream',
    ' text/event-stream ; charset=utf-8',
    'text/event-stream;q=0.1',
    'text/event-stream; Q=1.0',
    'application/json, text/event-stream',
    'application/json;q=0.5,text/event-stream;q=0.5',
    'application/json; q=0.9, text/event-stream',
    'text/event-stream, */*',
    'text/event-stream, application/*;q=0.5',
    'text/event-stream;q=0.5, application/json;q=0, */*',
  ])
    expect([accept, acceptsStream(accept)]).toEqual([accept, true])
})

test('JSON is given where Accept does not name a stream, refuses it or prefers JSON', () => {
  for (const accept of [
    null,
    '',
    '*/*',
    'text/*',
    'application/json',
    'text/html, */*;q=0.8',
    'text/event-stream;q=0',
    'text/event-stream; q=0.000',
    'TEXT/EVENT-STREAM ; Q=0',
    'application/json;q=1, text/event-stream;q=0.1',
    'text/event-stream;q=0.5, application/json',
    'text/event-stream;q=0.5, Application/*',
    '*/*, text/event-stream;q=0.5',
    'text/event-streams',
    'application/x;profile="text/event-stream"',
  ])
    expect([accept, acceptsStream(accept)]).toEqual([accept, false])
})
