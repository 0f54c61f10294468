const BASE = 0x400000
const HEADERS_BYTES = 64 + 56
/** exit(42) */
const EXIT = [0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]

/** The smallest program for x86_64 that runs these bytes and then exits with 42. */
export function machineCode(bytes: readonly number[]): Buffer {
  const code = Buffer.from([...bytes, ...EXIT])
  const file = Buffer.alloc(HEADERS_BYTES + code.length)
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  file.writeUInt16LE(2, 16)
  file.writeUInt16LE(62, 18)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(BigInt(BASE + HEADERS_BYTES), 24)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt16LE(64, 52)
  file.writeUInt16LE(56, 54)
  file.writeUInt16LE(1, 56)
  file.writeUInt32LE(1, 64)
  file.writeUInt32LE(5, 68)
  file.writeBigUInt64LE(BigInt(BASE), 80)
  file.writeBigUInt64LE(BigInt(BASE), 88)
  file.writeBigUInt64LE(BigInt(file.length), 96)
  file.writeBigUInt64LE(BigInt(file.length), 104)
  file.writeBigUInt64LE(4096n, 112)
  code.copy(file, HEADERS_BYTES)
  return file
}
