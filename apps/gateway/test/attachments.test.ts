import { randomBytes } from 'node:crypto'
import { readAttachments } from '@muster/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Driver } from './drive-run.ts'
import { type Fixture, openFixture, type Reply } from './gateway-fixture.ts'

let fixture: Fixture
let driver: Driver
let agent: { readonly id: string; readonly key: string }
beforeAll(async () => {
  fixture = await openFixture()
  driver = await Driver.register(fixture.database)
  agent = await fixture.agent()
})
afterAll(() => fixture.close())

const send = (attachments: unknown, more: object = {}): Promise<Reply> =>
  fixture.call('POST', '/v1/commands', { body: { agent: agent.key, message: 'm', attachments, ...more } })
const kept = (reply: Reply) => readAttachments(fixture.database.pool, reply.textAt('task.id'))

describe('attachments', () => {
  test('are kept whole with the task; the run tells what they are', async () => {
    const sent = await send([
      { name: 'note.txt', text: 'grün' },
      { name: 'data', base64: 'AP8K', media_type: 'image/png' },
      { name: '__proto__', text: '', media_type: 'text/markdown; charset=utf-8' },
    ])
    expect(sent.status).toBe(202)
    expect(sent.at('run.attachments')).toEqual([
      { name: 'note.txt', media_type: 'text/plain', bytes: 5 },
      { name: 'data', media_type: 'image/png', bytes: 3 },
      { name: '__proto__', media_type: 'text/markdown; charset=utf-8', bytes: 0 },
    ])
    expect(await kept(sent)).toEqual([
      { name: 'note.txt', media_type: 'text/plain', text: 'grün' },
      { name: 'data', media_type: 'image/png', base64: 'AP8K' },
      { name: '__proto__', media_type: 'text/markdown; charset=utf-8', text: '' },
    ])
    expect((await fixture.call('GET', `/v1/runs/${sent.textAt('run.id')}`)).at('run')).toEqual(sent.at('run'))
    expect((await fixture.call('GET', `/v1/tasks/${sent.textAt('task.id')}`)).text).not.toContain('grün')
  })

  test('are none where none were sent', async () => {
    const [none, empty] = [await send(undefined), await send([])]
    for (const sent of [none, empty]) {
      expect(sent.at('run.attachments')).toEqual([])
      expect(await kept(sent)).toEqual([])
    }
  })

  test('go along when a dead letter is queued again', async () => {
    const sent = await send([{ name: 'a', text: 'b' }])
    await driver.fail(sent.textAt('run.id'), await driver.claim(sent.textAt('run.id')))
    const again = await fixture.call('POST', `/v1/tasks/${sent.textAt('task.id')}/requeue`)
    const run = await fixture.call('GET', again.headers.get('location') ?? '')
    expect(run.at('run.attachments')).toEqual(sent.at('run.attachments'))
    expect(run.at('run.id')).not.toBe(sent.at('run.id'))
  })

  test('belong to what an idempotency key stands for', async () => {
    const key = { idempotency_key: randomBytes(8).toString('hex') }
    const first = await send([{ name: 'a', text: 'b' }], key)
    const same = await send([{ name: 'a', text: 'b', media_type: 'text/plain' }], key)
    expect([same.status, same.at('task.id')]).toEqual([200, first.at('task.id')])
    for (const other of [[{ name: 'a', text: 'c' }], [{ name: 'b', text: 'b' }], [], undefined])
      expect((await send(other, key)).at('code')).toBe('idempotency_conflict')
  })

  test('count to the size of the body, alone and in a batch', async () => {
    const large = { name: 'large', text: 'x'.repeat(1_048_576) }
    expect((await send([large])).status).toBe(413)
    const commands = [
      { agent: agent.key, message: 'm', attachments: [large] },
      { agent: agent.key, message: 'm', attachments: [{ name: 'small', text: 'x' }] },
    ]
    const batch = await fixture.call('POST', '/v1/commands/batch', { body: { commands } })
    expect([batch.at('results.0.status'), batch.at('results.1.status')]).toEqual([413, 202])
    expect(batch.at('results.1.run.attachments.0.name')).toBe('small')
  })

  test('take any name of a file, and none that is a path', async () => {
    const names = [' ', '*', 'a:b', '\n', '..x', '-rf', '\u{1f980}', 'constructor', 'a\\b', 'x'.repeat(255)]
    const sent = await send(names.map((name) => ({ name, text: name })))
    expect(sent.status).toBe(202)
    expect((await kept(sent)).map((one) => one.name)).toEqual(names)
    const wrong = ['', '.', '..', 'a/b', '/etc/passwd', '../x', 'nul\0', '\ud800', '\u{1f980}'.repeat(64)]
    for (const name of wrong) {
      const refused = await send([
        { name: 'fine', text: '' },
        { name, text: '' },
      ])
      expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, '/attachments/1/name'])
    }
  })

  const wrong: readonly [string, unknown, string][] = [
    ['neither text nor base64', [{ name: 'a' }], '/attachments/0'],
    ['both', [{ name: 'a', text: 'a', base64: 'YQ==' }], '/attachments/0/base64'],
    ['no base64', [{ name: 'a', base64: 'not base64' }], '/attachments/0/base64'],
    ['base64 of another alphabet', [{ name: 'a', base64: '_-8=' }], '/attachments/0/base64'],
    ['NUL in text', [{ name: 'a', text: '\0' }], '/attachments/0/text'],
    ['no media type', [{ name: 'a', text: '', media_type: 'text' }], '/attachments/0/media_type'],
    ['an unknown field', [{ name: 'a', text: '', url: 'file:///etc/passwd' }], '/attachments/0/url'],
    [
      'one name twice',
      [
        { name: 'a', text: '' },
        { name: 'a', text: '' },
      ],
      '/attachments/1/name',
    ],
    ['65 of them', Array.from({ length: 65 }, (_, index) => ({ name: `${index}`, text: '' })), '/attachments'],
    ['no list', { name: 'a', text: '' }, '/attachments'],
  ]
  for (const [what, attachments, pointer] of wrong)
    test(`are refused with their place: ${what}`, async () => {
      const refused = await send(attachments)
      expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, pointer])
    })
})

describe('an agent with a bundle', () => {
  const config = { runner: 'process', command: ['/agent/main'] }
  const create = (more: object): Promise<Reply> =>
    fixture.call('POST', '/v1/agents', {
      body: { key: `b${randomBytes(5).toString('hex')}`, config: { ...config, ...more } },
    })

  test('has it in its config, instead of files', async () => {
    const made = await create({ bundle: 'tools/coder-1.2' })
    expect(made.at('agent.config.bundle')).toBe('tools/coder-1.2')
    const path = `/v1/agents/${made.textAt('agent.key')}`
    const both = await fixture.call('PATCH', path, { body: { config: { files: { a: 'b' } } } })
    expect([both.status, both.at('errors.0.pointer')]).toEqual([400, '/config/bundle'])
    const swapped = await fixture.call('PATCH', path, { body: { config: { files: { a: 'b' }, bundle: null } } })
    expect(swapped.at('agent.config')).toEqual({ ...config, files: { a: 'b' } })
    const created = await create({ bundle: 'x', files: {} })
    expect([created.status, created.at('errors.0.pointer')]).toEqual([400, '/config/bundle'])
  })

  test('names no folder outside', async () => {
    for (const bundle of ['', '.', '..', '../x', 'a/../b', '/etc', 'a//b', 'a/', 'a\0', '\ud800', 'x'.repeat(256), 5]) {
      const refused = await create({ bundle })
      expect([refused.status, refused.at('errors.0.pointer')]).toEqual([400, '/config/bundle'])
    }
  })
})
