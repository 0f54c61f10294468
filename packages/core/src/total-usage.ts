import type { Usage, UsageReport } from '@muster/contracts'

export const NO_USAGE: Usage = { input_tokens: 0, output_tokens: 0, cost_usd: 0, by_model: [] }

/** Models of one total that are told apart. */
const MODELS_MAX = 64

/**
 * Adds one report to a total, by provider and model; past 64 of them the rest is summed without a name. A sum stays at the largest number
 * that can be kept, whatever an agent reports.
 */
export function addUsage(total: Usage, report: UsageReport): Usage {
  const named = { provider: report.provider ?? null, model: report.model ?? null }
  const known = total.by_model.find(isOf(named))
  const place = known !== undefined || total.by_model.length < MODELS_MAX ? named : { provider: null, model: null }
  const same = known ?? total.by_model.find(isOf(place))
  const line = {
    input_tokens: report.input_tokens ?? 0,
    output_tokens: report.output_tokens ?? 0,
    cost_usd: report.cost_usd ?? 0,
  }
  return {
    ...sum(total, line),
    by_model: [...total.by_model.filter((entry) => entry !== same), { ...place, ...sum(same ?? NO_USAGE, line) }],
  }
}

type Place = Pick<Usage['by_model'][number], 'provider' | 'model'>
type Counts = Pick<Usage, 'input_tokens' | 'output_tokens' | 'cost_usd'>

const isOf =
  ({ provider, model }: Place) =>
  (entry: Place): boolean =>
    entry.provider === provider && entry.model === model

const sum = (one: Counts, other: Counts): Counts => ({
  input_tokens: Math.min(Number.MAX_SAFE_INTEGER, one.input_tokens + other.input_tokens),
  output_tokens: Math.min(Number.MAX_SAFE_INTEGER, one.output_tokens + other.output_tokens),
  cost_usd: Math.min(Number.MAX_VALUE, one.cost_usd + other.cost_usd),
})
