import { fileURLToPath } from 'node:url'

/** The files that make up a fleet. */
export type Programs = { readonly gateway: string; readonly worker: string; readonly migrations: string }

export const PROGRAMS: Programs = {
  gateway: fileURLToPath(new URL('../../../gateway/src/main.ts', import.meta.url)),
  worker: fileURLToPath(new URL('../../../worker/src/main.ts', import.meta.url)),
  migrations: fileURLToPath(new URL('../../../../prisma/migrations/', import.meta.url)),
}
