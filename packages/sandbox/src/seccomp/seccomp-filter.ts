import { type ArgumentTest, DENIED_SYSCALLS, type Denial, type DenialError } from './denied-syscalls.ts'
import { type FilteredArchitecture, syscallNumber } from './syscall-numbers.ts'

/** One instruction of the kernel's classic packet filter. */
type Instruction = {
  readonly code: number
  /** How many instructions to skip when a test holds, and when not. */
  readonly yes: number
  readonly no: number
  readonly value: number
}

const LOAD_WORD = 0x20
const JUMP_IF_EQUAL = 0x15
const JUMP_IF_AT_LEAST = 0x35
const JUMP_IF_ANY_BIT = 0x45
const KEEP_BITS = 0x54
const RETURN = 0x06

const NUMBER_OFFSET = 0
const ARCHITECTURE_OFFSET = 4
const ARGUMENTS_OFFSET = 16
const ARGUMENT_BYTES = 8
const INSTRUCTION_BYTES = 8

const KILL_PROCESS = 0x8000_0000
const ALLOW = 0x7fff_0000
const FAIL = 0x0005_0000

/** From here on the numbers are those of x32, a second way to every system call. */
const X32_NUMBERS = 0x4000_0000

const ARCHITECTURES = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const satisfies Record<FilteredArchitecture, number>
/** The numbers that the kernel answers, the same on both architectures. */
export const ERROR_NUMBERS = {
  EPERM: 1,
  EINVAL: 22,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
} as const satisfies Record<DenialError, number>

/** The architecture of this process, if a filter can be made for it. */
export function filteredArchitecture(name: string = process.arch): FilteredArchitecture | null {
  return name === 'x64' || name === 'arm64' ? name : null
}

/**
 * The program that the kernel asks before each system call of a sandbox, in the form that bubblewrap hands on. A call of
 * another architecture, whose numbers mean something else, ends the process.
 */
export function seccompFilter(architecture: FilteredArchitecture, denied = DENIED_SYSCALLS): Buffer {
  const program = [
    load(ARCHITECTURE_OFFSET),
    test(JUMP_IF_EQUAL, ARCHITECTURES[architecture], 1, 0),
    end(KILL_PROCESS),
    load(NUMBER_OFFSET),
    ...(architecture === 'x64' ? [test(JUMP_IF_AT_LEAST, X32_NUMBERS, 0, 1), end(KILL_PROCESS)] : []),
    ...denied.flatMap((denial) => denialOf(denial, architecture)),
    end(ALLOW),
  ]
  return Buffer.concat(program.map(encoded))
}

function denialOf(denial: Denial, architecture: FilteredArchitecture): Instruction[] {
  const consequence = denial.when === undefined ? [failure(denial)] : testsOf(denial.when, failure(denial))
  return denial.calls.flatMap((name) => {
    const number = syscallNumber(name, architecture)
    return number === null ? [] : [test(JUMP_IF_EQUAL, number, 0, consequence.length), ...consequence]
  })
}

/** Ends the program either way: a call has one rule. */
const testsOf = (tests: readonly ArgumentTest[], failed: Instruction): Instruction[] => [
  ...tests.flatMap((one) => where(one.given, [loadArgument(one.index), ...testOf(one, failed)])),
  end(ALLOW),
]

/** Skips the tests of one argument where another has not the value that they are for. */
function where(given: ArgumentTest['given'], tests: Instruction[]): Instruction[] {
  if (given === undefined) return tests
  return [loadArgument(given.index), test(JUMP_IF_EQUAL, given.value, 0, tests.length), ...tests]
}

function testOf(one: ArgumentTest, failed: Instruction): Instruction[] {
  switch (one.kind) {
    case 'has_any_bit':
      return [test(JUMP_IF_ANY_BIT, one.bits, 0, 1), failed]
    case 'has_of_mask':
      return [keep(one.mask), test(JUMP_IF_EQUAL, one.bits, 0, 1), failed]
    case 'is_one_of':
      return one.values.flatMap((value) => [test(JUMP_IF_EQUAL, value, 0, 1), failed])
  }
}

const failure = (denial: Denial): Instruction => end(FAIL | ERROR_NUMBERS[denial.error])
const load = (value: number): Instruction => ({ code: LOAD_WORD, yes: 0, no: 0, value })
const loadArgument = (index: number): Instruction => load(ARGUMENTS_OFFSET + index * ARGUMENT_BYTES)
const keep = (value: number): Instruction => ({ code: KEEP_BITS, yes: 0, no: 0, value })
const test = (code: number, value: number, yes: number, no: number): Instruction => ({ code, yes, no, value })
const end = (value: number): Instruction => ({ code: RETURN, yes: 0, no: 0, value })

function encoded({ code, yes, no, value }: Instruction): Buffer {
  const bytes = Buffer.alloc(INSTRUCTION_BYTES)
  bytes.writeUInt16LE(code, 0)
  bytes.writeUInt8(yes, 2)
  bytes.writeUInt8(no, 3)
  bytes.writeUInt32LE(value >>> 0, 4)
  return bytes
}
