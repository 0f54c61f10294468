import { readFile } from 'node:fs/promises'
import { ERROR_CODES, ROUTES } from '@muster/contracts'
import { describe, expect, test } from 'vitest'
import { openapiDocument } from '../src/openapi-document.ts'

const HTTP_METHODS = ['get', 'post', 'patch', 'delete']
const at = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, part) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, part) : undefined),
    value,
  )
const keys = (value: unknown): string[] => Object.keys(Object(value))

function walk(value: unknown, visit: (name: string, value: unknown) => void): void {
  if (typeof value !== 'object' || value === null) return
  for (const [name, inner] of Object.entries(value)) {
    visit(name, inner)
    walk(inner, visit)
  }
}

describe('the API document', () => {
  const document = openapiDocument()

  test('is the committed one', async () => {
    const committed = await readFile(new URL('../openapi.json', import.meta.url), 'utf8')
    expect(JSON.parse(committed)).toEqual(document)
  })

  test('is OpenAPI 3.1 in which every reference resolves and every operation has its own id', () => {
    expect(at(document, ['openapi'])).toBe('3.1.0')
    const references: string[] = []
    walk(document, (name, value) => {
      if (name === '$ref' && typeof value === 'string') references.push(value)
    })
    expect(references.length).toBeGreaterThan(50)
    for (const reference of new Set(references)) expect(at(document, reference.slice(2).split('/'))).toBeDefined()
    const ids = keys(at(document, ['paths'])).flatMap((path) =>
      keys(at(document, ['paths', path]))
        .filter((name) => HTTP_METHODS.includes(name))
        .map((method) => at(document, ['paths', path, method, 'operationId'])),
    )
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBe(Object.keys(ROUTES).length)
  })

  test('tells of each route its parameters, its answers and its refusals', () => {
    for (const route of Object.values(ROUTES)) {
      const operation = at(document, ['paths', route.path, route.method.toLowerCase()])
      const parameters = at(operation, ['parameters'])
      const named = Array.isArray(parameters)
        ? parameters.filter((each) => each.in === 'path').map((each) => each.name)
        : []
      expect(named.sort()).toEqual([...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort())
      const answers = keys(at(operation, ['responses']))
      for (const status of Object.keys(route.responses)) expect(answers).toContain(status)
      for (const code of route.errors) expect(answers).toContain(String(ERROR_CODES[code].status))
      expect(at(operation, ['requestBody']) === undefined).toBe(route.body === null)
    }
  })

  test('shows unknown fields of requests as refused', () => {
    const body = ['post', 'requestBody', 'content', 'application/json', 'schema']
    const command = { $ref: '#/components/schemas/Command' }
    expect(at(document, ['paths', '/v1/commands', ...body])).toEqual(command)
    expect(at(document, ['paths', '/v1/commands/batch', ...body, 'properties', 'commands', 'items'])).toEqual(command)
    expect(at(document, ['components', 'schemas', 'Command', 'additionalProperties'])).toBe(false)
  })
})
