import { escapeHtml } from '../http/escape-html.ts'

const STYLE = `:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem }
header { display: flex; gap: 1rem; align-items: baseline; flex-wrap: wrap }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; overflow-wrap: anywhere }
pre { background: #8882; padding: .8rem; overflow: auto; max-height: 32rem; white-space: pre-wrap }
input[type=search] { font: inherit; padding: .3rem .5rem; min-width: 22rem }
button { font: inherit; padding: .3rem .8rem }`

/** A page beside Bull Board, with the search box. `body` is HTML. */
export const boardPage = (title: string, query: string, body: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><link rel="icon" href="/admin/queues/static/images/logo.svg"><style>${STYLE}</style></head>
<body><header><a href="/admin/queues">Queues</a>
<form action="/admin/queues/search" method="get" role="search">
<input type="search" name="q" value="${escapeHtml(query)}" placeholder="run id, label, workspace, agent or lane" aria-label="Search" autofocus>
<button type="submit">Search</button></form></header>
<h1>${escapeHtml(title)}</h1>${body}</body></html>`

/** Where the board shows a lane, or a run in it. */
export const boardLink = (lane: string, runId?: string): string =>
  `/admin/queues/queue/${encodeURIComponent(lane)}${runId === undefined ? '' : `/${encodeURIComponent(runId)}`}`

/** The page of a run. */
export const runLink = (runId: string): string => `/admin/queues/runs/${encodeURIComponent(runId)}`
