import process from "node:process";

/** What a call cost so far. */
export interface Cost {
  /** Highest V8 heap in use that was seen; null if the platform does not tell. */
  readonly peakHeapBytes: number | null;
  /**
   * CPU time of the whole process, with all threads and requests; null if the platform does not
   * tell.
   */
  readonly cpuMs: number | null;
}

/** Measures one call. */
export interface Meter {
  /** The cost until now. The heap is also sampled ten times a second. */
  read(): Cost;
  stop(): void;
}

/** How often the heap is sampled, in milliseconds; in between it may be higher. */
const EVERY_MS = 100;

/** Starts to measure. Best effort, since platforms differ in what they tell. */
export function startMeter(): Meter {
  const cpuAtStart = readCpu();
  let peak: number | null = null;
  function look(): void {
    const used = readHeap();
    if (used !== null) peak = Math.max(peak ?? 0, used);
  }
  look();
  const timer = setInterval(look, EVERY_MS);
  return {
    read(): Cost {
      look();
      const cpu = readCpu();
      const cpuMs = cpu === null || cpuAtStart === null ? null : Math.round(cpu - cpuAtStart);
      return { peakHeapBytes: peak, cpuMs };
    },
    stop: () => clearInterval(timer),
  };
}

function readHeap(): number | null {
  try {
    return Deno.memoryUsage().heapUsed;
  } catch {
    return null;
  }
}

function readCpu(): number | null {
  try {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  } catch {
    return null;
  }
}
