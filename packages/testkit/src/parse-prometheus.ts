export type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
export type Family = { readonly name: string; readonly type: string; readonly help: string; readonly samples: Sample[] }

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|(?=\}))/
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|Inf)|NaN)$/i

/** The families of a scrape in the text format of Prometheus 0.0.4, by name. Throws at the first line that is not of the format. */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  const families = new Map<string, Family>()
  const helps = new Map<string, string>()
  const seen = new Set<string>()
  let current: Family | null = null
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (word === 'HELP') helps.set(name, rest)
    else if (word === 'TYPE') {
      if (!/^(counter|gauge|histogram|summary)$/.test(rest) || families.has(name)) throw new Error(`bad type: ${line}`)
      current = { name, type: rest, help: helps.get(name) ?? '', samples: [] }
      families.set(name, current)
    } else {
      const sample = parseSample(line)
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).toSorted())}`
      if (seen.has(key)) throw new Error(`twice: ${line}`)
      seen.add(key)
      if (current === null || !belongs(sample.name, current)) throw new Error(`outside its family: ${line}`)
      current.samples.push(sample)
    }
  }
  return families
}

const belongs = (name: string, { name: family, type }: Family): boolean =>
  name === family ||
  (['histogram', 'summary'].includes(type) && [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name))

function parseSample(line: string): Sample {
  const name = NAME.exec(line)?.[0]
  if (name === undefined) throw new Error(`no sample: ${line}`)
  let rest = line.slice(name.length)
  const labels: Record<string, string> = {}
  if (rest.startsWith('{')) {
    rest = rest.slice(1)
    while (!rest.startsWith('}')) {
      const [whole = '', label = '', value = ''] = LABEL.exec(rest) ?? []
      if (whole === '' || label in labels) throw new Error(`bad labels: ${line}`)
      labels[label] = value.replaceAll(/\\(["\\n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
      rest = rest.slice(whole.length)
    }
    rest = rest.slice(1)
  }
  const value = rest.slice(1)
  if (!rest.startsWith(' ') || !NUMBER.test(value)) throw new Error(`bad value: ${line}`)
  return { name, labels, value: Number(value.replace(/inf/i, 'Infinity')) }
}
