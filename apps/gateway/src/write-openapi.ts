import { readFile, writeFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { openapiDocument } from './openapi-document.ts'

// Writes openapi.json beside this app; with --check it only compares, and fails when the file is behind the routes.
const FILE = new URL('../openapi.json', import.meta.url)
const document = openapiDocument()

if (process.argv.includes('--check')) {
  const committed = await readFile(FILE, 'utf8').catch(() => 'null')
  if (!isDeepStrictEqual(JSON.parse(committed), document)) {
    process.stderr.write(
      'apps/gateway/openapi.json is behind the routes; run: node apps/gateway/src/write-openapi.ts\n',
    )
    process.exitCode = 1
  }
} else await writeFile(FILE, `${JSON.stringify(document, null, 2)}\n`)
