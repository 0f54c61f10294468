/** Trouble that is told of once for as long as it lasts, so that an outage floods no log. */
export class LastingTrouble {
  #lasts = false

  came(tell: () => void): void {
    if (!this.#lasts) tell()
    this.#lasts = true
  }

  isOver(): void {
    this.#lasts = false
  }
}
