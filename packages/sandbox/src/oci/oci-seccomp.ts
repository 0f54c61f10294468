import { type ArgumentTest, DENIED_SYSCALLS, type Denial } from '../seccomp/denied-syscalls.ts'
import { ERROR_NUMBERS } from '../seccomp/seccomp-filter.ts'

type OciArgument = {
  readonly index: number
  readonly value: number
  readonly valueTwo: number
  readonly op: 'SCMP_CMP_MASKED_EQ'
}

const LOW_WORD = 0xffff_ffff
const BITS = 32

const op = 'SCMP_CMP_MASKED_EQ'
const equal = (index: number, value: number): OciArgument => ({ index, value: LOW_WORD, valueTwo: value, op })

/** The same denials as an OCI runtime wants them; a call of another architecture ends the process there too. */
export function ociSeccomp(denied: readonly Denial[] = DENIED_SYSCALLS) {
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: [process.arch === 'arm64' ? 'SCMP_ARCH_AARCH64' : 'SCMP_ARCH_X86_64'],
    syscalls: denied.flatMap((denial) => {
      const rule = { names: denial.calls, action: 'SCMP_ACT_ERRNO', errnoRet: ERROR_NUMBERS[denial.error] }
      return denial.when === undefined ? [rule] : denial.when.flatMap(alternativesOf).map((args) => ({ ...rule, args }))
    }),
  }
}

/** Any one of them is enough, and of each all arguments count. */
function alternativesOf(when: ArgumentTest): OciArgument[][] {
  const given: OciArgument[] = when.given === undefined ? [] : [equal(when.given.index, when.given.value)]
  return argumentsOf(when).map((one) => [...given, one])
}

function argumentsOf(when: ArgumentTest): OciArgument[] {
  if (when.kind === 'has_of_mask') return [{ index: when.index, value: when.mask, valueTwo: when.bits, op }]
  if (when.kind === 'is_one_of') return when.values.map((value) => equal(when.index, value))
  return Array.from({ length: BITS }, (_, bit) => 2 ** bit)
    .filter((bit) => (when.bits & bit) !== 0)
    .map((bit) => ({ index: when.index, value: bit, valueTwo: bit, op }))
}
