import type { ROUTES } from '@muster/contracts'
import type { Handler } from '../handler.ts'
import { openapiDocument } from '../openapi-document.ts'

export const getOpenapi: Handler<typeof ROUTES.getOpenapi> = async () => ({ status: 200, body: openapiDocument() })
