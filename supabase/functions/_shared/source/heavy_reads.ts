/** Lets one large answer at a time be held by a process. */
export interface HeavyReads {
  /**
   * Runs `work`. When it calls `enter` it waits for its turn, and keeps it until it ends; a signal
   * ends the waiting with its reason.
   */
  hold<T>(work: (enter: (signal?: AbortSignal) => Promise<void>) => Promise<T>): Promise<T>;
}

/**
 * Makes a turn for large answers: ten at once would not fit into a worker (rule: work is bounded and
 * resumes). Answers of the usual size never wait.
 */
export function createHeavyReads(): HeavyReads {
  let last: Promise<unknown> = Promise.resolve();
  return {
    async hold(work) {
      let leave: (() => void) | undefined;
      async function enter(signal?: AbortSignal): Promise<void> {
        if (leave !== undefined) return;
        const before = last;
        const ended = new Promise<void>((resolve) => leave = resolve);
        last = before.then(() => ended);
        await untilAborted(before, signal);
      }
      try {
        return await work(enter);
      } finally {
        leave?.();
      }
    },
  };
}

function untilAborted(turn: Promise<unknown>, signal?: AbortSignal): Promise<unknown> {
  if (signal === undefined) return turn;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    turn.then(() => {
      signal.removeEventListener("abort", abort);
      resolve(undefined);
    });
  });
}
