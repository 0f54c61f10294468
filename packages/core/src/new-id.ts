import { ID_PREFIXES, type IdKind } from '@muster/contracts'
import { monotonicFactory } from 'ulid'

const next = monotonicFactory()

/** A new id of a kind: sorts after every id of that kind made earlier by this process, and by time across processes. */
export const newId = (kind: IdKind): string => `${ID_PREFIXES[kind]}_${next().toLowerCase()}`
