import { fileURLToPath } from 'node:url'

/** The folder of the whole repository. */
export const REPOSITORY_FOLDER = fileURLToPath(new URL('../../../', import.meta.url))

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../../prisma/migrations/', import.meta.url))
