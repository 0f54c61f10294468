import type { Fault } from '@muster/contracts'
import type { z } from 'zod'

type Place = 'body' | 'query' | 'path' | 'header'

const FAULTS_MAX = 100
const NAME_MAX = 200

/** Where and what, for each thing that a schema found wrong: unknown fields are named at their place. At most 100 are told. */
export function faultsOf(issues: readonly z.core.$ZodIssue[], place: Place): Fault[] {
  const faults: Fault[] = []
  for (const issue of issues) {
    if (issue.code === 'unrecognized_keys') {
      const kind = place === 'body' ? 'field' : 'parameter'
      for (const key of issue.keys.slice(0, FAULTS_MAX))
        faults.push({
          pointer: pointerTo(place, [...issue.path, key]),
          detail: `unknown ${kind} ${JSON.stringify(short(key))}`,
        })
    } else if (issue.code === 'invalid_union') faults.push(...unionFaults(issue, place))
    else if (issue.code === 'invalid_key')
      faults.push({ pointer: pointerTo(place, issue.path), detail: keyDetail(issue) })
    else faults.push({ pointer: pointerTo(place, issue.path), detail: issue.message })
    if (faults.length >= FAULTS_MAX) break
  }
  return faults.slice(0, FAULTS_MAX)
}

/** A JSON pointer (RFC 6901) into the body, or `query/<name>`, `path/<name>`, `header/<name>`. */
export function pointerTo(place: Place, path: readonly PropertyKey[]): string {
  const tokens = path.map((part) => short(String(part)).replaceAll('~', '~0').replaceAll('/', '~1'))
  return place === 'body' ? tokens.map((token) => `/${token}`).join('') : [place, ...tokens].join('/')
}

/** The branches that fail deeper than the union itself say more; else all branches say what would fit. */
function unionFaults(issue: z.core.$ZodIssueInvalidUnion, place: Place): Fault[] {
  const deeper = issue.errors.find((branch) => branch.length > 0 && branch.every((each) => each.path.length > 0))
  if (deeper !== undefined)
    return faultsOf(
      deeper.map((each) => ({ ...each, path: [...issue.path, ...each.path] })),
      place,
    )
  const details = [...new Set(issue.errors.flat().map((each) => each.message))]
  return [{ pointer: pointerTo(place, issue.path), detail: details.join('; or: ') || issue.message }]
}

const keyDetail = (issue: z.core.$ZodIssueInvalidKey): string =>
  issue.issues.map((each) => each.message).join('; ') || issue.message

const short = (name: string): string => (name.length > NAME_MAX ? `${name.slice(0, NAME_MAX)}…` : name)
