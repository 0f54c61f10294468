export type Release = {
  /** The work's own answer, or undefined as soon as `open` was called. */
  wait<T>(work: Promise<T>): Promise<T | undefined>
  open(): void
  readonly isOpen: boolean
}

/** Lets go of callers that wait for work which may never end. Unlike a race against one long-lived promise it keeps nothing of work that ended. */
export function createRelease(): Release {
  const waiting = new Set<() => void>()
  let opened = false
  return {
    wait: (work) =>
      new Promise((resolve, reject) => {
        const letGo = () => resolve(undefined)
        if (opened) letGo()
        else waiting.add(letGo)
        work.then(resolve, reject).finally(() => waiting.delete(letGo))
      }),
    open() {
      opened = true
      for (const letGo of waiting) letGo()
      waiting.clear()
    },
    get isOpen() {
      return opened
    },
  }
}
