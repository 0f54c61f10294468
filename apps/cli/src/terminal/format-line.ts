import type { ChildLine } from '../fleet/supervise-child.ts'

export type Palette = 'plain' | 'colours'

const SHOWN_APART = new Set(['time', 'level', 'app', 'msg', 'err', 'pid', 'hostname'])
const LEVEL_COLOURS: Readonly<Record<string, string>> = { warn: '33', error: '31', fatal: '31', debug: '2', trace: '2' }

/**
 * A log line as a person reads it: time, who, level, message, then ids and other fields; a stack follows on lines of its own. What clients
 * and agents named cannot move the cursor, nor pass for a line of its own.
 */
export function formatLine(name: string, line: ChildLine, palette: Palette): string {
  const paint = (code: string, text: string): string => (palette === 'plain' ? text : `\x1b[${code}m${text}\x1b[0m`)
  if (typeof line === 'string') return `${clock(new Date())} ${name.padEnd(9)} ${visible(line)}`
  const level = String(line['level'] ?? 'info')
  const fields = Object.entries(line)
    .filter(([field]) => !SHOWN_APART.has(field))
    .map(([field, value]) => visible(`${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`))
  const time = clock(new Date(String(line['time'] ?? '')))
  const head = `${paint('2', time)} ${name.padEnd(9)} ${paint(LEVEL_COLOURS[level] ?? '32', level.padEnd(5))} ${visible(String(line['msg'] ?? ''))}`
  const tail = fields.length === 0 ? '' : ` ${paint('2', fields.join(' '))}`
  return `${head}${tail}${describeError(line['err'])}`
}

function clock(time: Date): string {
  return (Number.isNaN(time.getTime()) ? new Date() : time).toTimeString().slice(0, 8)
}

function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  const text = 'stack' in error ? error.stack : 'message' in error ? error.message : JSON.stringify(error)
  const lines = String(text).split('\n')
  const cause = 'cause' in error ? describeError(error.cause) : ''
  return `${lines.map((line) => `\n    ${visible(line)}`).join('')}${cause}`
}

/** Control characters, but for tabs, as their numbers. */
function visible(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) =>
    character === '\t' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
