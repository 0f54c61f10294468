/**
 * Attempts of an agent on what is not its own. Each prints what it got, so that one that printed nothing got nothing; the first
 * and the last two are for bash, `reachOthers` for Node.
 */

export type Secrets = {
  /** Files of the host, of the worker or of another session, by their paths out there. */
  readonly files: readonly string[]
  /** Folders of the host whose entries an agent may not see. */
  readonly folders: readonly string[]
  /** Processes of the host whose environment and arguments it may not see. */
  readonly pids: readonly number[]
  /** Names of variables that only the host's processes have. */
  readonly variables: readonly string[]
}

export const readSecrets = ({ files, folders, pids, variables }: Secrets): string => `
  for f in /etc/shadow /etc/gshadow /root/.ssh/id_rsa /root/.bashrc ${words(files)}; do
    cat "$f" 2>/dev/null; cat "/proc/1/root$f" 2>/dev/null; cat "/proc/self/root/../..$f" 2>/dev/null; done
  ls ${words(folders)} /proc/1/cwd/.. 2>/dev/null | grep -vxF "$(ls /)" | grep -vE '^$|:$'
  for pid in ${pids.join(' ')}; do cat /proc/$pid/environ /proc/$pid/cmdline 2>/dev/null | grep -az node; done
  cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -aE '^(${variables.join('|')})='
  true`

export type Others = {
  readonly hosts: readonly string[]
  readonly ports: readonly number[]
  /** Unix sockets: paths, or abstract names with a NUL before them. */
  readonly sockets: readonly string[]
}

export const reachOthers = ({ hosts, ports, sockets }: Others): string => `
  import { connect } from 'node:net'
  import { createSocket } from 'node:dgram'
  import { lookup } from 'node:dns/promises'
  const reach = (to) => new Promise((done) => {
    const line = connect(to).on('connect', () => done('reached ' + JSON.stringify(to))).on('error', () => done(''))
    setTimeout(() => { line.destroy(); done('') }, 3000)
  })
  const hosts = ${JSON.stringify([...hosts, '127.0.0.1', '::1', '0.0.0.0', '169.254.169.254', '1.1.1.1'])}
  const tries = hosts.flatMap((host) => ${JSON.stringify([...ports, 80])}.map((port) => reach({ host, port })))
  tries.push(...${JSON.stringify(sockets)}.map((path) => reach({ path })))
  tries.push(lookup('example.com').then(() => 'resolved', () => ''))
  tries.push(new Promise((done) => createSocket('udp4').send('x', 53, '1.1.1.1', (error) => done(error ? '' : 'sent'))))
  process.stdout.write((await Promise.all(tries)).filter((one) => one !== '').join('\\n'))
  process.exit(0)`

/** `pids`: processes of the host. */
export const signalOthers = (pids: readonly number[]): string => `
  for pid in ${pids.join(' ')} 2 $(seq 100 200); do kill -0 $pid 2>/dev/null && ! ls /proc/$pid >/dev/null 2>&1 && echo "signalled $pid"; done
  for pid in ${pids.join(' ')}; do grep -qs node /proc/$pid/cmdline && echo "saw $pid"; done
  true`

export const GAIN_PRIVILEGES = `
  cp /bin/sh ./sh && chmod 6755 ./sh && ./sh -p -c 'id -u; id -G' | grep -wE '0' && echo 'is root'
  for p in su sudo newgrp mount chsh pkexec; do echo x | timeout 2 $p -c id 2>/dev/null </dev/null | grep -q 'uid=0' && echo "root by $p"; done
  for d in /dev/mem /dev/kmsg /dev/vda /dev/sda /dev/kvm /dev/fuse /dev/net/tun /dev/loop-control; do head -c 1 $d >/dev/null 2>&1 && echo "opened $d"; done
  mknod ./disk b 254 0 2>/dev/null && head -c 1 ./disk >/dev/null 2>&1 && echo 'made a device'
  mknod ./mem c 1 1 2>/dev/null && head -c 1 ./mem >/dev/null 2>&1 && echo 'made a device'
  for t in 'tmpfs x /tmp' 'proc x /tmp' 'cgroup x /tmp' 'sysfs x /tmp'; do mount -t $t 2>/dev/null && echo "mounted $t"; done
  mount --bind / /tmp 2>/dev/null && echo 'bound'; umount /workspace 2>/dev/null && echo 'unmounted'
  unshare -m true 2>/dev/null && echo 'new mounts'; unshare -Un true 2>/dev/null && echo 'new user'; nsenter -t 1 -m true 2>/dev/null && echo 'entered'
  chroot / true 2>/dev/null && echo 'changed root'
  ls /sys/fs/cgroup 2>/dev/null; (echo $$ > /sys/fs/cgroup/cgroup.procs) 2>/dev/null && echo 'left its group'
  (echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo 'changed the kernel'
  (echo -900 > /proc/self/oom_score_adj) 2>/dev/null && echo 'is spared when memory is short'
  (exec 5<>/dev/tty) 2>/dev/null && echo 'has a terminal'
  find /proc/[0-9]*/fd -lname '/*' -not -lname '/dev/*' -not -lname '/proc/*' -not -lname '/workspace*' -not -lname '/agent/*' -not -xtype p -printf 'inherited %l\\n' 2>/dev/null
  chown 0:0 ./sh 2>/dev/null && echo 'gave away'; setpriv --reuid 0 true 2>/dev/null && echo 'became root'
  grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | grep -v 0000000000000000
  (ulimit -c unlimited || ulimit -n 999999) 2>/dev/null && echo 'raised a limit'
  nice -n -5 true 2>&1 | grep -q cannot || echo 'went first'
  rm -rf ./sh
  true`

const words = (paths: readonly string[]): string => paths.map((path) => `'${path}'`).join(' ')
