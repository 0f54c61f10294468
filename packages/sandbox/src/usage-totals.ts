import type { Usage, UsageReport } from '@muster/contracts'

type ModelUsage = Usage['by_model'][number]

export type UsageTotals = {
  add(report: UsageReport): void
  total(): Usage
}

const MODELS_MAX = 64

/** Sums what an agent reports, per provider and model; past 64 of them the rest is summed without a name. */
export function createUsageTotals(): UsageTotals {
  const models = new Map<string, ModelUsage>()
  return {
    add(report) {
      const known = models.size < MODELS_MAX || models.has(keyOf(report))
      const named = known ? report : {}
      const before = models.get(keyOf(named))
      models.set(keyOf(named), {
        provider: named.provider ?? null,
        model: named.model ?? null,
        input_tokens: sum(before?.input_tokens, report.input_tokens),
        output_tokens: sum(before?.output_tokens, report.output_tokens),
        cost_usd: Math.min(Number.MAX_VALUE, (before?.cost_usd ?? 0) + (report.cost_usd ?? 0)),
      })
    },
    total() {
      const by_model = [...models.values()]
      return {
        input_tokens: by_model.reduce((total, one) => sum(total, one.input_tokens), 0),
        output_tokens: by_model.reduce((total, one) => sum(total, one.output_tokens), 0),
        cost_usd: Math.min(
          Number.MAX_VALUE,
          by_model.reduce((total, one) => total + one.cost_usd, 0),
        ),
        by_model,
      }
    },
  }
}

const keyOf = (report: UsageReport): string => JSON.stringify([report.provider ?? null, report.model ?? null])

const sum = (a = 0, b = 0): number => Math.min(Number.MAX_SAFE_INTEGER, a + b)
