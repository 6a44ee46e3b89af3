import { z } from "zod";
import type { FileStore } from "../source/keep_files.ts";
import type { FileSweep } from "../sync/sweep_files.ts";
import { callRows } from "./call.ts";
import type { SupabaseApi } from "./client.ts";

const pathRow = z.object({ path: z.string() });

/** The bookings' files in Storage. Which of them are there, and named, the database knows. */
export function createStoredFiles({ rpc, bucket }: SupabaseApi): FileStore & FileSweep {
  return {
    async find(paths, signal) {
      const rows = await callRows(rpc, "stored_files", { paths: [...paths] }, {
        row: pathRow,
        signal,
      });
      return new Set(rows.map(({ path }) => path));
    },
    put: (path, content, mediaType) => bucket.upload(path, content, mediaType),
    async listUnnamed(limit) {
      const rows = await callRows(rpc, "sweep_files", { max_files: limit }, { row: pathRow });
      return rows.map(({ path }) => path);
    },
    remove: (paths) => bucket.remove(paths),
  };
}
