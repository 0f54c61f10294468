/** What /proc tells of the whole host beyond what programs run by: hidden from every sandbox, where the host has it. */
export const MASKED_FILES: readonly string[] = [
  '/proc/interrupts',
  '/proc/kallsyms',
  '/proc/kcore',
  '/proc/key-users',
  '/proc/keys',
  '/proc/kmsg',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/slabinfo',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/vmallocinfo',
]

export const MASKED_FOLDERS: readonly string[] = ['/proc/acpi', '/proc/asound', '/proc/scsi']

/** Not even a sandbox that came to have rights may write these. */
export const READ_ONLY_PATHS: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]
