import { idPattern } from '@muster/contracts'
import { type BoardRun, findBoardRun, findLanes, labelledRuns, type Queryable, runsOfTask } from '@muster/store'
import { escapeHtml } from '../http/escape-html.ts'
import { boardLink, boardPage } from './board-page.ts'

const LIMIT = 50

/** Finds a run by its id or its task's, runs by the beginning of their label, and lanes by any part of workspace, agent and lane. */
export async function searchPage(on: Queryable, query: string): Promise<string> {
  if (query === '') return boardPage('Search', '', '<p>Nothing was asked.</p>')
  const [runs, lanes] = await Promise.all([findRuns(on, query), findLanes(on, query.toLowerCase(), LIMIT)])
  const found =
    runs.length + lanes.length === 0
      ? '<p>Nothing was found.</p>'
      : (runs.length === 0 ? '' : runTable(runs)) + (lanes.length === 0 ? '' : laneList(lanes))
  return boardPage('Search', query, found)
}

async function findRuns(on: Queryable, query: string): Promise<readonly BoardRun[]> {
  if (idPattern('run').test(query)) {
    const run = await findBoardRun(on, query)
    return run === null ? [] : [run]
  }
  return idPattern('task').test(query) ? runsOfTask(on, query, LIMIT) : labelledRuns(on, query, LIMIT)
}

const runTable = (runs: readonly BoardRun[]): string =>
  `<table id="runs"><thead><tr><th>Run<th>Label<th>Lane<th>Status<th>Queued</tr></thead><tbody>${runs
    .map(
      (run) => `<tr><td><a href="${escapeHtml(boardLink(run.job_name, run.id))}">${escapeHtml(run.id)}</a>
<td>${escapeHtml(run.label ?? '')}<td><a href="${escapeHtml(boardLink(run.job_name))}">${escapeHtml(run.job_name)}</a>
<td>${escapeHtml(run.status)}<td>${run.queued_at.toISOString()}</tr>`,
    )
    .join('')}</tbody></table>${runs.length === LIMIT ? `<p>Only the first ${LIMIT} runs are shown.</p>` : ''}`

const laneList = (lanes: readonly string[]): string =>
  `<h2>Lanes</h2><ul id="lanes">${lanes
    .map((lane) => `<li><a href="${escapeHtml(boardLink(lane))}">${escapeHtml(lane)}</a></li>`)
    .join('')}</ul>${lanes.length === LIMIT ? `<p>Only the first ${LIMIT} lanes are shown.</p>` : ''}`
