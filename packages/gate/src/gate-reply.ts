import type { Pool } from '@muster/contracts'
import type { Admission } from '@muster/core'

/** A slot given to a run, reserved for 3 s: the way of its job, which was added with it. */
export type Admitted = {
  readonly runId: string
  readonly admission: Admission
  readonly pool: Pool
}

/** The gate holds nothing that may be relied on; nothing was done. A rebuild loads it. */
export type Cold = { readonly kind: 'cold' }

/** What a question to the gate is answered. */
export type GateAnswer<T> = Cold | ({ readonly kind: 'warm' } & T)

/** What a script that admits is answered: the slots it gave and its own result. */
export type GateReply<T = unknown> = GateAnswer<{ readonly admitted: readonly Admitted[] } & T>

/** What a release did: the runs whose slot was freed by this call, and the slots that were started on the node that asked for some. */
export type Released = { readonly released: readonly string[]; readonly kept: readonly Admitted[] }
