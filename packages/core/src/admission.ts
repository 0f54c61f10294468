/** (epoch, counter) as one integer, so that a newer admission is a greater number: epoch * 2^32 + counter. */
export type Admission = number

const COUNTERS_PER_EPOCH = 2 ** 32

export const admissionOf = (epoch: number, counter: number): Admission => epoch * COUNTERS_PER_EPOCH + counter

export const epochOf = (admission: Admission): number => Math.floor(admission / COUNTERS_PER_EPOCH)
