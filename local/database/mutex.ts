/** Runs one piece of work at a time, in the order of the calls; a failure does not block the next. */
export type Mutex = <T>(work: () => Promise<T>) => Promise<T>;

/** A mutex of its own. Not re-entrant: work that calls its own mutex waits for itself. */
export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  return function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work, work);
    last = mine.catch(() => {});
    return mine;
  };
}
