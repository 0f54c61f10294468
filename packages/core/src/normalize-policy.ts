import { DEFAULT_POLICY, type Policy, type PolicyInput } from '@muster/contracts'

/** Fills a policy field by field: the command's word, else the agent's, else the default. An omitted field turns nothing off. */
export function normalizePolicy(agent: PolicyInput | undefined, command: PolicyInput | undefined): Policy {
  return {
    ...DEFAULT_POLICY,
    ...defined(agent),
    ...defined(command),
    resources: { ...DEFAULT_POLICY.resources, ...defined(agent?.resources), ...defined(command?.resources) },
    retry: { ...DEFAULT_POLICY.retry, ...defined(agent?.retry), ...defined(command?.retry) },
  }
}

/** What the agent or the command asks for by name, which must be held or refused: fields, and resources as `resources/<name>`. */
export function namedFields(agent: PolicyInput | undefined, command: PolicyInput | undefined): ReadonlySet<string> {
  const resources = [...Object.keys(defined(agent?.resources)), ...Object.keys(defined(command?.resources))]
  return new Set([
    ...Object.keys(defined(agent)),
    ...Object.keys(defined(command)),
    ...resources.map((name) => `resources/${name}`),
  ])
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(value: T | undefined): Defined<T> {
  const kept: Defined<T> = {}
  for (const key in value) {
    const field = value[key]
    if (field !== undefined) kept[key] = field as Exclude<T[typeof key], undefined>
  }
  return kept
}
