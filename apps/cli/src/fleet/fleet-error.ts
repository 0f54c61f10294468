/** The configuration cannot work on this machine as it is now; the message says what to change. */
export class FleetError extends Error {
  override readonly name = 'FleetError'
}
