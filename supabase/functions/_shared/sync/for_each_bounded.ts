/**
 * Runs `work` for every item in order, at most `places` at once. Throws the first error and starts
 * no further item after it.
 */
export async function forEachBounded<T>(
  items: readonly T[],
  places: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failed = false;
  async function take(): Promise<void> {
    for (const item of queue) {
      if (failed) return;
      try {
        await work(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(places, items.length) }, take));
}
