import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Sandbox } from '../src/index.ts'
import { DENIED_SYSCALLS } from '../src/seccomp/denied-syscalls.ts'
import { filteredArchitecture } from '../src/seccomp/seccomp-filter.ts'
import { syscallNumber } from '../src/seccomp/syscall-numbers.ts'
import { machineCode } from './machine-code.ts'
import { makeSpec, runToEnd } from './place.ts'

const architecture = filteredArchitecture()
const PERL = '/usr/bin/perl'
const NEWEST: ReadonlySet<string> = new Set(['open_tree_attr', 'statmount', 'listmount', 'file_setattr'])
const NUMBERS = { EPERM: 1, EINVAL: 22, ENOSYS: 38, EOPNOTSUPP: 95, EAFNOSUPPORT: 97 }

/** What every adapter with a filter promises, told by an agent that tries each call. */
export function syscallsContract(sandbox: Sandbox, root: () => string, filter: 'ours' | 'of the runtime'): void {
  describe.skipIf(architecture === null || !existsSync(PERL))('system calls (needs a filter and perl)', () => {
    const perl = (script: string) => runToEnd(sandbox, makeSpec({ command: [PERL, '-e', script] }))

    it('that are dangerous are denied, each with its error', async () => {
      if (architecture === null) return
      const calls = DENIED_SYSCALLS.flatMap((denial) =>
        denial.calls.flatMap((name) => {
          const number = syscallNumber(name, architecture)
          const tried = denial.when ?? [{ index: 0, kind: 'has_any_bit', bits: 0 }]
          return tried.flatMap((one) => {
            const values = one.kind === 'is_one_of' ? one.values : [one.bits]
            const valueAt = (index: number) => (one.given?.index === index ? one.given.value : 0)
            return values.flatMap((value) => {
              const args = [0, 1, 2].map((index) => (index === one.index ? value : valueAt(index)))
              return number === null ? [] : [{ name, number, args, error: NUMBERS[denial.error] }]
            })
          })
        }),
      )
      const script = calls
        .map(
          ({ name, number, args }) => `$! = 0; syscall(${number}, ${args.join(', ')}); print "${name} ", $!+0, "\\n";`,
        )
        .join('\n')
      const end = await perl(script)
      const answers = end.stdout.trim().split('\n')
      for (const [index, { name, error }] of calls.entries()) {
        // The library behind a runtime may be older than a call: the kernel then answers for itself.
        const known = filter === 'ours' || !NEWEST.has(name)
        expect(answers[index]).toMatch(new RegExp(known ? `^${name} ${error}$` : `^${name} [1-9]`))
      }
      expect(answers).toHaveLength(calls.length)
    })

    it('that put words into a terminal, load code into one, or ask the host of the machine, are denied by their argument', async () => {
      if (architecture === null) return
      const [ioctl, socket, socketpair, unshare] = (['ioctl', 'socket', 'socketpair', 'unshare'] as const).map((name) =>
        syscallNumber(name, architecture),
      )
      const end = await perl(`
        sub try { $! = 0; my $n = shift; syscall($n, @_); print $!+0, " " }
        my $byte = "x"; try(${ioctl}, 0, 0x5412, $byte); try(${ioctl}, 0, 0x5413, $byte x 64);
        try(${ioctl}, 0, 0x5423, $byte x 4);
        try(${socket}, 40, 1, 0); try(${socket}, 38, 5, 0); try(${socket}, 17, 3, 0); try(${socket}, 1, 1, 0);
        my $two = "x" x 8; try(${socketpair}, 30, 1, 0, $two); try(${socketpair}, 1, 1, 0, $two);
        try(${unshare}, 0x10000000); try(${unshare}, 0x400); try(${unshare}, 0x200);
        try(${unshare}, 0x40000);`)
      expect(end.stdout).toMatch(/^1 (?!1 )\d+ 1 97 97 97 0 97 0 1 1 1 0 $/)
    })

    it('that fill what the kernel has for all are denied, and what programs need beside them is not', async () => {
      if (architecture === null) return
      const [fcntl, socket, setsockopt, seccomp] = (['fcntl', 'socket', 'setsockopt', 'seccomp'] as const).map((name) =>
        syscallNumber(name, architecture),
      )
      const end = await perl(`
        sub try { $! = 0; my $n = shift; my $made = syscall($n, @_); print $!+0, " "; $made }
        open F, "+>", "/tmp/locked"; my $lock = pack("ssx4qqix4", 1, 0, 0, 0, 0);
        try(${fcntl}, fileno F, $_, $lock) for 36, 37, 38, 4294967333, 6; print flock(F, 2), " ";
        try(${socket}, 16, 3, $_) for 2, 4, 15, 16, 31; my $route = try(${socket}, 16, 0x80003, 0);
        my $udp = try(${socket}, 2, 2, 0); my $on = pack("i", 1); my $program = pack("Sx6Q", 0, 0);
        for my $of ($route, $udp) { try(${setsockopt}, $of, 1, $_, $program, 16) for 26, 50, 51, 52 }
        try(${setsockopt}, $udp, 1, 2, $on, 4); try(${setsockopt}, $udp, 0, 26, $on, 4);
        my $none = 0; try(${seccomp}, 1, $_, $none) for 8, 9, 0, 1;`)
      expect(end.stdout).toMatch(/^22 22 22 22 0 1 97 97 97 97 97 0 0 1 1 1 1 1 1 1 1 0 (?!1 )\d+ 22 22 14 14 $/)
    })

    it('that read the interfaces and find names are not denied', async () => {
      const script = `
        import { lookup } from 'node:dns/promises'; import { networkInterfaces } from 'node:os'
        const lo = networkInterfaces().lo?.[0].address
        console.log(lo, (await lookup('localhost', { family: 4 })).address)`
      const end = await runToEnd(sandbox, makeSpec({ command: ['node', '/agent/a.mjs'], files: { 'a.mjs': script } }))
      expect(end).toMatchObject({ stdout: '127.0.0.1 127.0.0.1\n', code: 0 })
    })

    it.skipIf(architecture !== 'x64').each([
      ['of 32 bits', [0xb8, 20, 0, 0, 0, 0xcd, 0x80]],
      ['of x32', [0xb8, 39, 0, 0, 0x40, 0x0f, 0x05]],
    ])('%s end the process', async (_title, attempt) => {
      const folder = join(root(), 'machine-code')
      mkdirSync(folder, { recursive: true })
      const tried = join(folder, 'tried')
      const plain = join(folder, 'plain')
      writeFileSync(tried, machineCode(attempt))
      writeFileSync(plain, machineCode([]))
      for (const file of [tried, plain]) chmodSync(file, 0o755)
      const run = (name: string) =>
        runToEnd(sandbox, makeSpec({ command: [`/attachments/${name}`], attachmentsFolder: folder }))
      expect(await run('plain')).toMatchObject({ code: 42 })
      const end = await run('tried')
      expect(end.signal === 'SIGSYS' || end.code === 128 + 31).toBe(true)
    })

    it('that programs need are not denied', async () => {
      const end = await runToEnd(
        sandbox,
        makeSpec({
          command: [
            'bash',
            '-c',
            'mkfifo /tmp/f; ln -s a /tmp/b; (sleep 0 & wait); date >/dev/null; node -e "new Worker(new URL(`data:text/javascript,postMessage(1)`)) .onmessage" 2>/dev/null; perl -e "fork; wait; print 1"; echo done',
          ],
        }),
      )
      expect(end.stdout).toContain('done')
    })
  })
}
