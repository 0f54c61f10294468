import type { SyscallName } from './syscall-numbers.ts'

/** `EPERM`: forbidden here. `ENOSYS`, `EOPNOTSUPP` and `EINVAL`: not there, for calls that programs try and do without. */
export type DenialError = 'EPERM' | 'ENOSYS' | 'EOPNOTSUPP' | 'EINVAL' | 'EAFNOSUPPORT'

/** Only the low 32 bits of an argument are looked at: the kernel itself takes no more of those named here. */
export type ArgumentTest = {
  readonly index: number
  /** Looked at only where this other argument has this value. */
  readonly given?: { readonly index: number; readonly value: number }
} & (
  | { readonly kind: 'has_any_bit'; readonly bits: number }
  | { readonly kind: 'is_one_of'; readonly values: readonly number[] }
  /** Of the bits of the mask exactly these are set. */
  | { readonly kind: 'has_of_mask'; readonly mask: number; readonly bits: number }
)

export type Denial = {
  readonly calls: readonly SyscallName[]
  readonly error: DenialError
  /** Denied only if one of the tests holds; always without any. */
  readonly when?: readonly ArgumentTest[]
}

/** Mount, cgroup, uts, ipc, user, pid and network namespaces; the one of time below has a bit that only `unshare` reads so. */
const NEW_NAMESPACES = 0x7e02_0000
const NEW_TIME_NAMESPACE = 0x80

/** A thread with a table of descriptors or a current folder of its own would hold files where the measure of its disk does not look. */
const OWN_FILES = 0x400
const OWN_FOLDER = 0x200
const NEW_THREAD = 0x1_0000
const CLOSE_RANGE_UNSHARE = 2

/**
 * What puts a byte into a terminal's input, its Linux twin, what loads a line discipline into a terminal, the two that take a file
 * out of its project's quota, and the three that give a file room without writing it.
 */
const IOCTLS = [0x5412, 0x541c, 0x5423, 0x401c_5820, 0x4008_6602, 0x4030_5828, 0x4030_582a, 0x4030_5839]

/**
 * To ask for, set and wait for a lock that belongs to an open file. Two waits for each other never end, and hold a file that nothing else
 * holds any more. And each close walks all such locks of a file, so that a process with many of them takes minutes to end.
 */
const LOCKS_OF_FILES = [36, 37, 38]

const NETLINK = 16
/** All but the first, which is routing: the kernel has 32. */
const NETLINK_PROTOCOLS = 0x1f

const ADDRESS_FAMILIES_MAX = 46
/** Unix, internet of both versions, and netlink, by whose routing messages C libraries read the interfaces. */
const ADDRESS_FAMILIES = [1, 2, 10, NETLINK]

const SET_FILTER = 1
/** A descriptor that keeps a filter of system calls, and all that its process had set before, when the process is long gone. */
const NEW_LISTENER = 8

const SOL_SOCKET = 1
/** Filters of a socket, or of sockets that share a port. */
const SOCKET_FILTERS = [26, 50, 51, 52]

/**
 * What no agent needs and attacks on kernels begin with. An allow list would be stricter and would break programs with each
 * new version of a C library; the rest of the wall does not lean on this.
 */
export const DENIED_SYSCALLS: readonly Denial[] = [
  { error: 'EPERM', calls: ['add_key', 'request_key', 'keyctl'] },
  { error: 'EPERM', calls: ['bpf', 'perf_event_open', 'fanotify_init', 'fanotify_mark', 'syslog'] },
  { error: 'EPERM', calls: ['ptrace', 'process_vm_readv', 'process_vm_writev', 'kcmp', 'pidfd_getfd'] },
  { error: 'EPERM', calls: ['process_madvise', 'process_mrelease', 'move_pages', 'migrate_pages'] },
  { error: 'EPERM', calls: ['mount', 'umount2', 'pivot_root', 'chroot', 'open_by_handle_at'] },
  { error: 'ENOSYS', calls: ['fsopen', 'fsconfig', 'fsmount', 'fspick', 'move_mount', 'mount_setattr'] },
  { error: 'ENOSYS', calls: ['open_tree', 'open_tree_attr', 'statmount', 'listmount', 'file_setattr'] },
  { error: 'EPERM', calls: ['init_module', 'finit_module', 'delete_module'] },
  { error: 'ENOSYS', calls: ['create_module', 'query_module', 'get_kernel_syms', 'nfsservctl', 'uselib'] },
  { error: 'EPERM', calls: ['settimeofday', 'clock_settime', 'clock_adjtime', 'adjtimex'] },
  { error: 'EPERM', calls: ['reboot', 'kexec_load', 'kexec_file_load', 'swapon', 'swapoff', 'acct'] },
  { error: 'EPERM', calls: ['quotactl', 'quotactl_fd', 'sethostname', 'setdomainname', 'vhangup'] },
  { error: 'EPERM', calls: ['iopl', 'ioperm', 'modify_ldt'] },
  { error: 'ENOSYS', calls: ['lookup_dcookie', 'sysfs', 'ustat', 'memfd_secret'] },
  { error: 'ENOSYS', calls: ['userfaultfd', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'] },
  // The machine has so many of its contexts, for all users together.
  { error: 'ENOSYS', calls: ['io_setup'] },
  // It takes a disk faster than anybody can measure: C libraries then write, which takes its time.
  { error: 'EOPNOTSUPP', calls: ['fallocate'] },
  // A set of rules holds files that nothing else holds any more; programs that close themselves in do without on older kernels.
  { error: 'EOPNOTSUPP', calls: ['landlock_create_ruleset', 'landlock_add_rule', 'landlock_restrict_self'] },
  { error: 'EPERM', calls: ['setns'] },
  {
    error: 'EPERM',
    calls: ['unshare'],
    when: [{ index: 0, kind: 'has_any_bit', bits: NEW_NAMESPACES | NEW_TIME_NAMESPACE | OWN_FILES | OWN_FOLDER }],
  },
  {
    error: 'EPERM',
    calls: ['clone'],
    when: [
      { index: 0, kind: 'has_any_bit', bits: NEW_NAMESPACES },
      { index: 0, kind: 'has_of_mask', mask: NEW_THREAD | OWN_FILES, bits: NEW_THREAD },
      { index: 0, kind: 'has_of_mask', mask: NEW_THREAD | OWN_FOLDER, bits: NEW_THREAD },
    ],
  },
  { error: 'ENOSYS', calls: ['close_range'], when: [{ index: 2, kind: 'has_any_bit', bits: CLOSE_RANGE_UNSHARE }] },
  // Its flags lie in memory, where a filter cannot look: C libraries then fall back on clone.
  { error: 'ENOSYS', calls: ['clone3'] },
  // As from a kernel that does not know them; programs then take the older kinds, which go with their process or descriptor.
  { error: 'EINVAL', calls: ['fcntl'], when: [{ index: 1, kind: 'is_one_of', values: LOCKS_OF_FILES }] },
  { error: 'EPERM', calls: ['ioctl'], when: [{ index: 1, kind: 'is_one_of', values: IOCTLS }] },
  // The kernel compiles filters in room that all users share, and without any left nobody's of system calls can be set any more. Those of
  // a process are few and go with it; those below stay with a descriptor.
  {
    error: 'EINVAL',
    calls: ['seccomp'],
    when: [{ index: 1, kind: 'has_any_bit', bits: NEW_LISTENER, given: { index: 0, value: SET_FILTER } }],
  },
  {
    error: 'EPERM',
    calls: ['setsockopt'],
    when: [{ index: 2, kind: 'is_one_of', values: SOCKET_FILTERS, given: { index: 1, value: SOL_SOCKET } }],
  },
  {
    error: 'EAFNOSUPPORT',
    // A pair of a family opens its protocol, and so loads its module, just as one of it does.
    calls: ['socket', 'socketpair'],
    when: [
      {
        index: 0,
        kind: 'is_one_of',
        values: Array.from({ length: ADDRESS_FAMILIES_MAX }, (_, family) => family).filter(
          (family) => !ADDRESS_FAMILIES.includes(family),
        ),
      },
      // No group is charged for what lies unread in them, and some let an agent send to itself.
      { index: 2, kind: 'has_any_bit', bits: NETLINK_PROTOCOLS, given: { index: 0, value: NETLINK } },
    ],
  },
]
