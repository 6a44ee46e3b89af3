/** Work that continues after the response. */
export interface Background {
  /** Starts the task now. It must handle its errors; a rejection is ignored. */
  readonly run: (task: () => Promise<void>) => void;
  /** Resolves when all started tasks have ended. */
  readonly settled: () => Promise<void>;
}

/**
 * Keeps the worker alive for such work: by `EdgeRuntime.waitUntil` if the platform has it, else by
 * a tracked promise. It is only a shortcut: drain picks up what is lost here once its lease ends
 * (rule: work is bounded and resumes).
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
