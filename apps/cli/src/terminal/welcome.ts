import { relative } from 'node:path'

/** What a newcomer reads when the fleet is ready: where it is, the key, and a first command to copy. */
export function welcome(url: string, apiKey: string, apiKeyFile: string): string {
  return `
Muster is ready.

  URL      ${url}
  API key  ${apiKey}   (kept in ${relative(process.cwd(), apiKeyFile)})

A first command, for another terminal: it submits to the sample agent "echo" and streams what happens.

  run=$(curl -s ${url}/v1/commands -H 'Authorization: Bearer ${apiKey}' \\
    -H 'Content-Type: application/json' -d '{"agent":"echo","message":"hello"}' | grep -o 'run_[0-9a-z]\\{26\\}' | head -n 1)
  curl -sN ${url}/v1/runs/$run/events -H 'Authorization: Bearer ${apiKey}' -H 'Accept: text/event-stream'

Ctrl-C stops the fleet: workers finish or hand back what they run, then everything closes.
`
}
