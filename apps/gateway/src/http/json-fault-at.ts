const SPACE = /[ \t\n\r]*/y
const STRING = /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/** Where a text stops being JSON, counted from 1; the engine's own message does not always tell. */
export function jsonFaultAt(text: string): { readonly line: number; readonly column: number } {
  const offset = faultOffset(text)
  const before = text.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return { line: before.split('\n').length, column: offset - lineStart + 1 }
}

function faultOffset(text: string): number {
  const open: ('{' | '[')[] = []
  let at = 0
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }
  const take = (symbol: string): boolean => {
    skip(SPACE)
    if (text[at] !== symbol) return false
    at++
    return true
  }
  const takeKey = (): boolean => {
    skip(SPACE)
    return skip(STRING) && take(':')
  }

  for (;;) {
    // a value is due here
    if (take('{')) {
      if (!take('}')) {
        if (!takeKey()) return at
        open.push('{')
        continue
      }
    } else if (take('[')) {
      if (!take(']')) {
        open.push('[')
        continue
      }
    } else if (!skip(STRING) && !skip(SCALAR)) return at
    // a value has ended here
    for (;;) {
      const inside = open.at(-1)
      skip(SPACE)
      if (inside === undefined) return at
      if (take(',')) {
        if (inside === '{' && !takeKey()) return at
        break
      }
      if (!take(inside === '{' ? '}' : ']')) return at
      open.pop()
    }
  }
}
