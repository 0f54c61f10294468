import {
  DEFAULT_POLICY,
  type Policy,
  type PolicyInput,
  RESOURCE_NAMES,
  type ResourceName,
  type RetryPolicy,
} from '@muster/contracts'

/** Fills a policy field by field: the command's word, else the agent's, else the default. An omitted field turns nothing off. */
export function normalizePolicy(agent: PolicyInput | undefined, command: PolicyInput | undefined): Policy {
  const named = namedResources(agent, command)
  return {
    ...DEFAULT_POLICY,
    ...defined(agent),
    ...defined(command),
    resources: { ...DEFAULT_POLICY.resources, ...defined(agent?.resources), ...defined(command?.resources) },
    retry: filledRetry({ ...defined(agent?.retry), ...defined(command?.retry) }),
    ...(named.length === 0 ? {} : { named_resources: [...named] }),
  }
}

/** A delay that was asked for is not cut short by a bound that nobody asked for. */
function filledRetry(asked: Partial<RetryPolicy>): RetryPolicy {
  const retry = { ...DEFAULT_POLICY.retry, ...asked }
  return { ...retry, max_delay_ms: asked.max_delay_ms ?? Math.max(retry.max_delay_ms, retry.delay_ms) }
}

/** The fields that the agent or the command asks for by name. */
export const namedFields = (agent: PolicyInput | undefined, command: PolicyInput | undefined): ReadonlySet<string> =>
  new Set([...Object.keys(defined(agent)), ...Object.keys(defined(command))])

/** Names of the resources that the agent or the command asks for by name, which must be held or refused. */
function namedResources(agent: PolicyInput | undefined, command: PolicyInput | undefined): readonly ResourceName[] {
  const asked = { ...defined(agent?.resources), ...defined(command?.resources) }
  return RESOURCE_NAMES.filter((name) => asked[name] !== undefined)
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
