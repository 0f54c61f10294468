import type { ROUTES } from '@muster/contracts'
import type { Handler } from '../handler.ts'
import { openapiDocument } from '../openapi-document.ts'

export const getSchema: Handler<typeof ROUTES.getSchema> = async () => ({ status: 200, body: openapiDocument() })
