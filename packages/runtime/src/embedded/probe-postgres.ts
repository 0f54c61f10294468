import { connect } from 'node:net'

const PROTOCOL_3_0 = 196_608
const CANNOT_CONNECT_NOW = '57P03'

/** Whether a Postgres on 127.0.0.1 takes connections: a real start-up packet is sent, so a server that still recovers says no. */
export function probePostgres(port: number, user: string, database: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: 1000 })
    const settle = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => socket.write(startupPacket(user, database)))
    socket.once('data', (data) => settle(data[0] === 0x52 || !data.includes(`C${CANNOT_CONNECT_NOW}\0`)))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.once('timeout', () => settle(false))
  })
}

function startupPacket(user: string, database: string): Buffer {
  const body = Buffer.from(`user\0${user}\0database\0${database}\0\0`, 'utf8')
  const head = Buffer.alloc(8)
  head.writeUInt32BE(head.length + body.length, 0)
  head.writeUInt32BE(PROTOCOL_3_0, 4)
  return Buffer.concat([head, body])
}
