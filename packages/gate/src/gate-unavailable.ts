/**
 * Thrown by every call of the gate that got no answer from Redis in its time, could not be sent, or was not sent because the breaker is
 * open. Whether the call took effect is unknown; every one may be repeated, except `load`.
 */
export class GateUnavailable extends Error {
  override readonly name = 'GateUnavailable'
}

/** One that Redis answered: that it does not serve now, being full, a replica, or still loading. */
export class GateRefused extends GateUnavailable {}
