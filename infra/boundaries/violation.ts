export type Violation = { readonly path: string; readonly line: number; readonly what: string }

export function formatViolation({ path, line, what }: Violation): string {
  return `${path}:${line} ${what}`
}
