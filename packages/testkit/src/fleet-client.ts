export type FleetAnswer = { readonly status: number; readonly headers: Headers; readonly body: unknown }

/** A small client of the HTTP interface: one key, JSON in, JSON out; statuses are for the test to judge. */
export type FleetClient = {
  get(path: string): Promise<FleetAnswer>
  post(path: string, body?: object, headers?: Readonly<Record<string, string>>): Promise<FleetAnswer>
  patch(path: string, body: object): Promise<FleetAnswer>
  delete(path: string): Promise<FleetAnswer>
  /** The raw answer, for streams and for requests that are wrong on purpose. */
  fetch(path: string, init?: RequestInit): Promise<Response>
}

export function fleetClient(url: string, token: string): FleetClient {
  const raw = (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${token}`)
    return fetch(url + path, { ...init, headers })
  }
  const send = async (
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<FleetAnswer> => {
    const content = body === undefined ? {} : { body: JSON.stringify(body) }
    const response = await raw(path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...content,
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
  }
  return {
    get: (path) => send('GET', path),
    post: (path, body = {}, headers = {}) => send('POST', path, body, headers),
    patch: (path, body) => send('PATCH', path, body),
    delete: (path) => send('DELETE', path),
    fetch: raw,
  }
}
