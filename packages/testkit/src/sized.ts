/** Picks the size of a test: the small one in `npm test`, the full one in `npm run prove`. */
export function sized<T>(sizes: { readonly test: T; readonly prove: T }): T {
  return process.env['MUSTER_PROVE'] === '1' ? sizes.prove : sizes.test
}
