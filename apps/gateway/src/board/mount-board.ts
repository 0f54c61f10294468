import { createBullBoard } from '@bull-board/api'
import type {
  AppControllerRoute,
  BullBoardRequest,
  ControllerHandlerReturnType,
  HookContext,
} from '@bull-board/api/typings/app'
import { HonoAdapter } from '@bull-board/hono'
import { serveStatic } from '@hono/node-server/serve-static'
import { runIdSchema } from '@muster/contracts'
import { AppError, isRunOver } from '@muster/core'
import type { EngineContext } from '@muster/engine'
import { findBoardRun } from '@muster/store'
import { type Context, Hono } from 'hono'
import { problemOf } from '../http/problem.ts'
import { boardGuard } from './board-guard.ts'
import { runLink } from './board-page.ts'
import { boardQueues } from './board-queues.ts'
import { boundedQuery } from './bounded-query.ts'
import { laneActions } from './lane-actions.ts'
import type { LaneActions } from './lane-queue.ts'
import { runPage } from './run-page.ts'
import { searchPage } from './search-page.ts'

const PLACE = '/admin/queues'
const QUERY_MAX = 255
/** What the board may change: one run, one lane, and the dead letters of one lane. All else would act past the books. */
const CHANGES: ReadonlySet<string> = new Set([
  '/api/queues/:queueName/pause',
  '/api/queues/:queueName/resume',
  '/api/queues/:queueName/retry/:queueStatus',
  '/api/queues/:queueName/:jobId/retry',
  '/api/queues/:queueName/:jobId/clean',
])
/** The page of the board asks another host for its letters; the system's own do. */
const ELSEWHERE = /<link href="https?:[^>]*>/g
/**
 * Hides the buttons of what is refused, told apart by their icons: promote, reschedule, duplicate, edit, add, empty, obliterate, clean all, pause
 * all (in the menu that also sorts); and remove where a run is over: there nothing could be edited, or it can be retried.
 */
const HIDDEN = `<style>${['corner-up-left', 'clock', 'files', 'pencil'].map((icon) => `button:has(.lucide-${icon})`).join()},
${['plus', 'trash-2', 'ban'].map((icon) => `[role=menuitem]:has(.lucide-${icon})`).join()},
[role=menu]:has(.lucide-arrow-up-down) [role=menuitem]:is(:has(.lucide-pause), :has(.lucide-play)),
button:has(.lucide-trash-2):not([class*=jobActions] button),
[class*=jobActions]:is(:not(:has(.lucide-pencil)), :has(.lucide-refresh-cw)) button:has(.lucide-trash-2) { display: none !important }</style></head>`

/** Bull Board with its queues read anew for each request. */
class LiveAdapter extends HonoAdapter {
  readonly #context: EngineContext
  readonly #actions: LaneActions

  constructor(context: EngineContext, actions: LaneActions) {
    super(serveStatic)
    this.#context = context
    this.#actions = actions
  }

  /** The board would answer every refusal 500, and tell what any failure says of itself. */
  override setErrorHandler(handler: (error: Error & { statusCode?: number }) => ControllerHandlerReturnType): this {
    super.setErrorHandler((error) => {
      if (!(error instanceof AppError)) this.#context.log.error({ err: error }, 'board: a request failed')
      const { detail, status } = problemOf(error, 'board')
      return handler(Object.assign(new Error(detail), { statusCode: status }))
    })
    return this
  }

  override setApiRoutes(routes: AppControllerRoute[]): this {
    super.setApiRoutes(
      routes.map((route) => ({
        ...route,
        handler: async (request) =>
          request === undefined || !isOffered(route)
            ? route.handler(request)
            : route.handler(await this.#seen(request)),
      })),
    )
    return this
  }

  async #seen(request: BullBoardRequest): Promise<BullBoardRequest> {
    const asked = { ...request, query: boundedQuery(request.query) }
    return { ...asked, queues: await boardQueues(this.#context, this.#actions, asked) }
  }
}

/** Mounts `/admin/queues`: Bull Board over the lanes and pools, a search page, and a page for each run. */
export function mountBoard(app: Hono, context: EngineContext, adminToken: string): void {
  const actions = laneActions(context)
  const adapter = new LiveAdapter(context, actions)
  adapter.setBasePath(PLACE)
  createBullBoard({
    queues: [],
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: 'Muster',
        hideDocsLink: true,
        hideRedisDetails: true,
        showWorkers: false,
        sortQueues: false,
        overview: { groupByDelimiter: true },
        miscLinks: [{ text: 'Search', url: `${PLACE}/search` }],
      },
      handlerHooks: { before: refuseOthers },
    },
  })
  const board = new Hono()
  board.use('*', boardGuard(adminToken))
  board.get('/search', async (c) => {
    const query = Array.from((c.req.query('q') ?? '').trim())
      .slice(0, QUERY_MAX)
      .join('')
    return c.html(await searchPage(context.database.pool, storable(query)))
  })
  board.get('/runs/:runId', async (c) => c.html(await runPage(context, runIdOf(c))))
  // the board has no button for a run that is active
  board.post('/runs/:runId/cancel', async (c) => {
    const run = await findBoardRun(context.database.pool, runIdOf(c))
    if (run === null) throw new AppError('run_not_found')
    if (!isRunOver(run.status)) await actions.cancel(run)
    return c.redirect(runLink(run.id), 303)
  })
  board.use('*', async (c, next) => {
    await next()
    if (c.res.headers.get('content-type')?.startsWith('text/html') !== true) return
    const page = await c.res.text()
    c.res = new Response(page.replaceAll(ELSEWHERE, '').replace('</head>', HIDDEN), c.res)
  })
  board.route('/', adapter.registerPlugin())
  app.route(PLACE, board)
  app.get(`${PLACE}/`, (c) => c.redirect(PLACE))
}

const isOffered = ({ method, route }: Pick<AppControllerRoute, 'method' | 'route'>): boolean =>
  method === 'get' || (typeof route === 'string' && CHANGES.has(route))

const refuseOthers = (asked: HookContext) =>
  isOffered(asked)
    ? { allow: true }
    : { allow: false, status: 405 as const, message: 'Muster does not offer this: its books would not balance' }

function runIdOf(c: Context): string {
  const runId = runIdSchema.safeParse(c.req.param('runId'))
  if (!runId.success) throw new AppError('run_not_found')
  return runId.data
}

/** Postgres takes no NUL. */
const storable = (text: string): string => text.replaceAll('\0', '').toWellFormed()
