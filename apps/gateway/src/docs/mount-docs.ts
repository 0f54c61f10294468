import type { Hono } from 'hono'
import { openapiDocument } from '../openapi-document.ts'
import { docsPage } from './docs-page.ts'

const HEADERS = {
  'cache-control': 'public, max-age=300',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
}

/** Serves `/docs`: the API to read, made from the routes when it is first asked for. */
export function mountDocs(app: Hono): void {
  let page: string | undefined
  app.get('/docs', (c) => {
    page ??= docsPage(openapiDocument())
    return c.html(page, 200, HEADERS)
  })
}
