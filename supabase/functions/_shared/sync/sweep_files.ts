import { describeFault, type Log } from "../log.ts";

/** The files of bookings, for taking away what nothing names. */
export interface FileSweep {
  /** Paths that no row names and nobody has written for a week, at most `limit`, the oldest first. */
  listUnnamed(limit: number): Promise<readonly string[]>;
  remove(paths: readonly string[]): Promise<void>;
}

/** Files that one sweep takes away; the rest waits for the next night. */
const MOST = 1_000;

/**
 * Takes away files that no row names any more. A failure is only logged: what is left is found again by
 * the next sweep. Returns how many files went.
 */
export async function sweepFiles(files: FileSweep, log: Log): Promise<number> {
  try {
    const paths = await files.listUnnamed(MOST);
    if (paths.length > 0) await files.remove(paths);
    return paths.length;
  } catch (error) {
    log.error("files were not swept", describeFault(error));
    return 0;
  }
}
