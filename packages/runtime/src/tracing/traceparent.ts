const FORM = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

export type TraceContext = { readonly traceId: string; readonly spanId: string; readonly flags: number }

/** The context in a W3C `traceparent` of version 00; null for anything else, which is ignored as the standard asks. */
export function parseTraceparent(text: string | null): TraceContext | null {
  const [, traceId, spanId, flags] = FORM.exec(text?.trim() ?? '') ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return null
  return /[1-9a-f]/.test(traceId) && /[1-9a-f]/.test(spanId)
    ? { traceId, spanId, flags: Number.parseInt(flags, 16) }
    : null
}

export const formatTraceparent = ({ traceId, spanId, flags }: TraceContext): string =>
  `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`
