import { parseArgs } from 'node:util'

export type Arguments =
  | { readonly kind: 'help' }
  | {
      readonly kind: 'measure'
      readonly size: 'full' | 'quick'
      readonly rounds: number
      /** The names of what is measured, in the order of `known`. */
      readonly names: readonly string[]
    }
  /** Nothing is measured; `reason` is for whoever typed them. */
  | { readonly kind: 'refused'; readonly reason: string }

const ROUNDS_MAX = 100

/** Reads the command line; `known` are the names that `--only` takes. */
export function readArguments(argv: readonly string[], known: readonly string[]): Arguments {
  const parsed = parse(argv)
  if (typeof parsed === 'string') return { kind: 'refused', reason: parsed }
  const { quick = false, only, rounds, help } = parsed
  if (help === true) return { kind: 'help' }
  const count = rounds === undefined ? (quick ? 1 : 3) : Number(rounds)
  if (rounds !== undefined && !(/^\d{1,3}$/.test(rounds) && count >= 1 && count <= ROUNDS_MAX))
    return { kind: 'refused', reason: `--rounds takes a whole number from 1 to ${ROUNDS_MAX}, not '${rounds}'` }
  const wanted = only?.flatMap((names) => names.split(','))
  const unknown = wanted?.find((name) => !known.includes(name))
  if (unknown !== undefined) return { kind: 'refused', reason: `--only knows no '${unknown}': use ${known.join(', ')}` }
  const names = known.filter((name) => wanted?.includes(name) ?? true)
  return { kind: 'measure', size: quick ? 'quick' : 'full', rounds: count, names }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
