import type { Usage, UsageReport } from '@muster/contracts'

export const NO_USAGE: Usage = { input_tokens: 0, output_tokens: 0, cost_usd: 0, by_model: [] }

/** Adds one report to a total, by provider and model. */
export function addUsage(total: Usage, report: UsageReport): Usage {
  const provider = report.provider ?? null
  const model = report.model ?? null
  const line = {
    input_tokens: report.input_tokens ?? 0,
    output_tokens: report.output_tokens ?? 0,
    cost_usd: report.cost_usd ?? 0,
  }
  const same = total.by_model.find((entry) => entry.provider === provider && entry.model === model)
  const others = total.by_model.filter((entry) => entry !== same)
  return {
    ...sum(total, line),
    by_model: [...others, { provider, model, ...sum(same ?? NO_USAGE, line) }],
  }
}

type Counts = Pick<Usage, 'input_tokens' | 'output_tokens' | 'cost_usd'>

const sum = (one: Counts, other: Counts): Counts => ({
  input_tokens: one.input_tokens + other.input_tokens,
  output_tokens: one.output_tokens + other.output_tokens,
  cost_usd: one.cost_usd + other.cost_usd,
})
