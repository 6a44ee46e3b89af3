/** The work did not end in time; its signal has been aborted. */
export class TimeUp extends Error {
  override readonly name = "TimeUp";
  readonly code = "time_up";
}

/**
 * Runs `work` for at most `milliseconds` and throws {@linkcode TimeUp} after that, even if the work
 * ignores its signal (rule: work is bounded and resumes). With no time left it is not started.
 */
export async function within<T>(
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeUp = new TimeUp("Cannot finish: the time is up.");
  if (milliseconds <= 0) throw timeUp;
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      controller.abort(timeUp);
      reject(timeUp);
    }, milliseconds);
  });
  try {
    const working = work(controller.signal);
    working.catch(() => {}); // it may still fail later, when nothing awaits it any more
    return await Promise.race([working, over]);
  } finally {
    clearTimeout(timer);
  }
}
