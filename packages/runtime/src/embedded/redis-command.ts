import { connect } from 'node:net'

/**
 * Sends one command over a connection of its own and answers the reply's first line (`+PONG`, `:3`, `$-1`, `-ERR ...`). For health checks
 * and tests; everything else goes through the gate's clients.
 */
export function redisCommand(url: string, command: readonly string[], timeoutMs = 1000): Promise<string> {
  const { hostname, port, password } = new URL(url)
  const commands = [...(password === '' ? [] : [['AUTH', decodeURIComponent(password)]]), command]
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) || 6379, timeout: timeoutMs })
    let text = ''
    socket.setEncoding('utf8')
    socket.once('connect', () => socket.write(commands.map(encode).join('')))
    socket.on('data', (chunk: string) => {
      text += chunk
      const lines = text.split('\r\n')
      const failed = lines.slice(0, -1).find((line) => line.startsWith('-'))
      const reply = failed ?? (lines.length > commands.length ? lines[commands.length - 1] : undefined)
      if (reply === undefined) return
      socket.destroy()
      resolve(reply)
    })
    socket.once('error', reject)
    socket.once('timeout', () => socket.destroy(new Error(`no answer from Redis within ${timeoutMs} ms`)))
    socket.once('close', () => reject(new Error('Redis closed the connection')))
  })
}

function encode(command: readonly string[]): string {
  return `*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`
}
