import { setTimeout as sleep } from 'node:timers/promises'

export type Answer = { readonly status: number; readonly body: unknown }

/** Sends a request to the gateway: with a token, and a body if there is one. */
export type AdminClient = (method: 'GET' | 'POST', path: string, body?: object, token?: string) => Promise<Answer>

const ATTEMPTS = 20
const RETRY_MS = 250

/** The gateway's HTTP interface with the admin token; waits out answers that say "later" for some seconds. */
export function adminClient(url: string, adminToken: string): AdminClient {
  return async (method, path, body, token = adminToken) => {
    for (let attempt = 1; ; attempt++) {
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          'muster-workspace': 'default',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const answer: Answer = { status: response.status, body: await response.json() }
      if (![429, 503].includes(answer.status) || attempt === ATTEMPTS) return answer
      await sleep(RETRY_MS)
    }
  }
}

/** An answer that the set-up cannot go on from. */
export function unexpected(what: string, { status, body }: Answer): Error {
  return new Error(`${what}: the gateway answered ${status} ${JSON.stringify(body)}`)
}
