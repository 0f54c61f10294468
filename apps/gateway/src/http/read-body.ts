import { AppError } from '@muster/core'
import { z } from 'zod'
import { jsonFaultAt } from './json-fault-at.ts'

const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i

/** The JSON of a request's body of at most so many bytes. An empty body stands for `{}`. Throws `payload_too_large`, `unsupported_media_type` or `invalid_request`. */
export async function readBody(request: Request, bytesMax: number): Promise<unknown> {
  const bytes = await readBytes(request, bytesMax)
  if (bytes.byteLength === 0) return {}
  const type = request.headers.get('content-type')
  if (type === null || !JSON_TYPE.test(type))
    throw new AppError('unsupported_media_type', 'send the body as application/json')
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding.toLowerCase() !== 'identity')
    throw new AppError('unsupported_media_type', 'send the body as it is, without a Content-Encoding')
  return parseJson(decode(bytes))
}

function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  const length = request.headers.get('content-length')
  if (length !== null && Number(length) > bytesMax) throw tooLarge(bytesMax)
  return length !== null && request.headers.get('transfer-encoding') === null
    ? readWhole(request)
    : readChunks(request, bytesMax)
}

async function readWhole(request: Request): Promise<Uint8Array> {
  try {
    return new Uint8Array(await request.arrayBuffer())
  } catch (cause) {
    throw brokenOff(cause)
  }
}

async function readChunks({ body }: Request, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body ?? []) {
      size += chunk.byteLength
      if (size > bytesMax) throw tooLarge(bytesMax)
      chunks.push(chunk)
    }
  } catch (cause) {
    throw cause instanceof AppError ? cause : brokenOff(cause)
  }
  return Buffer.concat(chunks)
}

const brokenOff = (cause: unknown): AppError =>
  new AppError('invalid_request', 'the body ended before it was whole', { cause })

const tooLarge = (bytesMax: number): AppError =>
  new AppError('payload_too_large', `a body may have at most ${bytesMax} bytes here`)

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    const faults = [{ pointer: '', detail: 'not valid UTF-8' }]
    throw new AppError('invalid_request', 'the body is not valid UTF-8', { faults, cause })
  }
}

/** As many digits as a double may not hold. */
const LONG_NUMBER = /\d{16}/

/** An integer that would lose digits becomes a bigint, which no contract takes: it is refused at its place. */
function exactly(_key: string, value: unknown, ...more: readonly unknown[]): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const source = SOURCE.safeParse(more[0]).data?.source
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value
}

/** What JSON.parse tells besides, which its type does not name yet. */
const SOURCE = z.object({ source: z.string() })

function parseJson(text: string): unknown {
  try {
    return LONG_NUMBER.test(text) ? JSON.parse(text, exactly) : JSON.parse(text)
  } catch (cause) {
    if (cause instanceof RangeError) throw new AppError('invalid_request', 'the body is nested too deep', { cause })
    const { line, column } = jsonFaultAt(text)
    const detail = `malformed JSON at line ${line}, column ${column}`
    throw new AppError('invalid_request', `the body is ${detail}`, { faults: [{ pointer: '', detail }], cause })
  }
}
