import { AppError, isRunOver } from '@muster/core'
import { type EngineContext, explainRun } from '@muster/engine'
import { findBoardRun, findRun, listAttempts } from '@muster/store'
import { escapeHtml } from '../http/escape-html.ts'
import { boardLink, boardPage, runLink } from './board-page.ts'
import { eventLines } from './event-lines.ts'

const EVENTS_MAX = 500
const ATTEMPTS_MAX = 100
const TEXT_MAX = 20_000

/** Everything about a run: why it waits, itself, its attempts and its first events. */
export async function runPage(context: EngineContext, runId: string): Promise<string> {
  const { database } = context
  const shown = await findBoardRun(database.pool, runId)
  const run = shown === null ? null : await findRun(database, shown.workspace_id, runId)
  if (shown === null || run === null) throw new AppError('run_not_found')
  const [explanation, attempts, lines] = await Promise.all([
    explainRun(context, runId),
    listAttempts(database.pool, runId, { limit: ATTEMPTS_MAX, before: null }),
    eventLines(database.pool, runId, EVENTS_MAX),
  ])
  return boardPage(
    run.id,
    '',
    `<p>${escapeHtml(explanation.text)}</p>
<p><a href="${escapeHtml(boardLink(shown.job_name, run.id))}">On the board</a></p>${isRunOver(run.status) ? '' : cancelForm(run.id)}
${section('Run', run)}${section('Attempts', attempts.items)}<h2>Events</h2><pre>${escapeHtml(cut(lines.join('\n')))}</pre>`,
  )
}

const cancelForm = (runId: string): string => `
<details><summary>Cancel</summary><form method="post" action="${escapeHtml(runLink(runId))}/cancel"><button type="submit">Cancel the run</button></form></details>`

const section = (title: string, what: unknown): string =>
  `<h2>${title}</h2><pre>${escapeHtml(cut(JSON.stringify(what, null, 2)))}</pre>`

const cut = (text: string): string => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} …` : text)
