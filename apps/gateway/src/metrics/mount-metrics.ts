import { type Metrics, mayScrape } from '@muster/runtime'
import type { Hono } from 'hono'

/** Serves `/metrics` for Prometheus to whoever shows the token, if one is set. */
export function mountMetrics(app: Hono, metrics: Metrics, token: string | null): void {
  app.get('/metrics', async (c) => {
    if (!mayScrape(token, c.req.header('authorization')))
      return c.text('send the metrics token as Authorization: Bearer\n', 401, { 'www-authenticate': 'Bearer' })
    const { contentType, text } = await metrics.scrape()
    return c.body(text, 200, { 'content-type': contentType, 'cache-control': 'no-store' })
  })
}
