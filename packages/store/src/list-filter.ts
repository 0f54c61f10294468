import { idPattern } from '@muster/contracts'

/** What a list is narrowed to; what is absent does not narrow. Agents and sessions are named by id or key. */
export type ListFilter = {
  readonly agent?: string | undefined
  readonly status?: string | undefined
  readonly session?: string | undefined
  readonly lane?: string | undefined
  readonly label?: string | undefined
  /** From this time on. */
  readonly createdAfter?: Date | undefined
  /** Before this time. */
  readonly createdBefore?: Date | undefined
}

const isId = (kind: 'agent' | 'session', value: string): boolean => idPattern(kind).test(value)

/** The filter on an agent, by id or by the key it has (or had, if it was deleted). */
export const whereAgent = (agent: string | undefined) =>
  agent === undefined ? {} : isId('agent', agent) ? { agentId: agent } : { agentKey: agent }

export const isSessionId = (value: string): boolean => isId('session', value)

export const whereText = <Field extends string>(field: Field, value: string | undefined) =>
  value === undefined ? {} : { [field]: value }

/** Half-open: from `createdAfter` on, before `createdBefore`. */
export const whereCreated = ({ createdAfter, createdBefore }: ListFilter) =>
  createdAfter === undefined && createdBefore === undefined
    ? {}
    : {
        createdAt: {
          ...(createdAfter === undefined ? {} : { gte: createdAfter }),
          ...(createdBefore === undefined ? {} : { lt: createdBefore }),
        },
      }
