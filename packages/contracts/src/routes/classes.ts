import { z } from 'zod'
import { classKeySchema, patchClassSchema } from '../execution-class.ts'
import { pageQuerySchema } from '../page.ts'
import { answerOf, appliedField, FILTERS, listOf, NO_PARAMS, NO_QUERY, RESOURCES } from './parts.ts'
import { defineRoute } from './route.ts'

const { agent, lane } = FILTERS
const workspace = { access: 'workspace', tag: 'classes', notFound: 'class_not_found' } as const

export const listClasses = defineRoute({
  ...workspace,
  operationId: 'listClasses',
  method: 'GET',
  path: '/v1/classes',
  summary: 'List the execution classes with what runs and waits in each',
  params: NO_PARAMS,
  query: pageQuerySchema.extend({ agent, lane }),
  body: null,
  responses: { 200: { description: 'A page', body: listOf(RESOURCES.executionClass) } },
  errors: [],
})

export const patchClass = defineRoute({
  ...workspace,
  operationId: 'patchClass',
  method: 'PATCH',
  path: '/v1/classes/{class_key}',
  summary: "Change a class's limit, weight or pause; acts on the backlog at once, null clears",
  params: z.object({ class_key: classKeySchema }),
  query: NO_QUERY,
  body: patchClassSchema,
  responses: {
    200: { description: 'The class', body: answerOf({ class: RESOURCES.executionClass, applied: appliedField }) },
  },
  errors: ['class_not_found'],
})
