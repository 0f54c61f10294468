const ESCAPED = /["\\]/g

/** Texts as Postgres reads a `text[]`, null for what is absent: the driver's own way costs several times as much for long lists. */
export const textArray = (texts: readonly (string | null)[]): string => `{${texts.map(element).join(',')}}`

const element = (text: string | null): string => {
  if (text === null) return 'NULL'
  return `"${text.includes('"') || text.includes('\\') ? text.replace(ESCAPED, '\\$&') : text}"`
}
