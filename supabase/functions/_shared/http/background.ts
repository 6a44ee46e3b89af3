/** Work that goes on after the response has been sent. */
export interface Background {
  /** Starts the task now; it must handle its own errors, a rejection is swallowed. */
  readonly run: (task: () => Promise<void>) => void;
  /** Resolves when everything that has been started has ended. */
  readonly settled: () => Promise<void>;
}

/**
 * Keeps the worker alive for such work: `EdgeRuntime.waitUntil` where the platform has it, else a
 * tracked promise. It is a shortcut only: what is lost here is picked up by drain when its lease
 * ends (invariant 11).
 */
export function createBackground(waitUntil = findWaitUntil()): Background {
  const running = new Set<Promise<void>>();
  return {
    run(task) {
      const ended = task().catch(() => {}).finally(() => running.delete(ended));
      running.add(ended);
      waitUntil?.(ended);
    },
    async settled() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}

interface EdgeGlobal {
  readonly EdgeRuntime?: { readonly waitUntil?: (work: Promise<unknown>) => void };
}

function findWaitUntil(): ((work: Promise<unknown>) => void) | undefined {
  const runtime = (globalThis as EdgeGlobal).EdgeRuntime;
  return runtime?.waitUntil && ((work) => runtime.waitUntil?.(work));
}
