import { hash, randomBytes } from 'node:crypto'

const SECRET_BYTES = 32
const FORM = /^mst_[A-Za-z0-9]{32,128}$/

/** A new API key: 256 random bits that nobody else will ever see. */
export const newApiKeySecret = (): string => `mst_${randomBytes(SECRET_BYTES).toString('hex')}`

export const isApiKeySecret = (text: string): boolean => FORM.test(text)

/** What is stored of a key and looked up, in hex; comparing hashes gives nothing away about the key. */
export const hashApiKey = (secret: string): string => hash('sha256', secret, 'hex')
