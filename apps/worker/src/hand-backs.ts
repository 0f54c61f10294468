/** Hand-backs in a row without a sign of progress, past which a run is handed back no more. */
export const HAND_BACKS_MAX = 5
