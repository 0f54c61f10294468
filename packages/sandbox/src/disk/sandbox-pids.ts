import { readdirSync, readlinkSync } from 'node:fs'
import { pidsBelow } from '../cgroup/attempt-cgroup.ts'
import { attempt } from './attempt.ts'

/** Where to find the processes of a sandbox: by their numbers, in its control groups, or as all of the pid namespace that one of them is in. */
export type SandboxPids =
  | { readonly pids: readonly number[] }
  | { readonly groups: readonly string[] }
  | { readonly namespaceOf: number }

/** The processes of a sandbox as of now. Throws where that cannot be told. */
export function pidsOf(processes: SandboxPids): readonly number[] {
  if ('pids' in processes) return processes.pids
  if ('groups' in processes) return [...new Set(processes.groups.flatMap(pidsBelow))]
  const wanted = namespaceOf('pid', processes.namespaceOf)
  if (wanted === null || wanted === namespaceOf('pid', process.pid)) return []
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && namespaceOf('pid', pid) === wanted)
}

/** Whether a process is in the same network as this one. */
export function sharesNetwork(pid: number): boolean {
  const theirs = namespaceOf('net', pid)
  return theirs !== null && theirs === namespaceOf('net', process.pid)
}

/** What names the namespace of a process; null where it is gone or may not be looked into. */
export const namespaceOf = (kind: 'pid' | 'net', pid: number) => attempt(() => readlinkSync(`/proc/${pid}/ns/${kind}`))
