import { holds, type Reading, warn } from "../source/reading.ts";
import type { InlineFile } from "../source/base64_file.ts";
import { type FileOwner, findInlineFile, type InlineFiles } from "../source/inline_files.ts";

/** The files that came with one booking. */
export interface BookingFiles {
  readonly owner: FileOwner;
  /**
   * The file of a `content_base64`; `undefined` if it holds nothing, and `refused`, with a warning,
   * if the booking goes on without it.
   */
  take(reading: Reading, field: string, value: unknown): InlineFile | "refused" | undefined;
}

/** Bytes of files of one booking. */
const MAX_BOOKING_BYTES = 50 * 1024 * 1024;

/** The files of a booking, of those that its answer carried along. */
export function createBookingFiles(owner: FileOwner, files: InlineFiles): BookingFiles {
  const taken = new Set<string>();
  let bytes = 0;
  return {
    owner,
    take(reading, field, value) {
      if (!holds(value)) return undefined;
      const file = findInlineFile(value, files);
      const refuse = (code: string, message: string): "refused" => {
        warn(reading, field, code, message);
        return "refused";
      };
      if (file === undefined || file.problem === "not_base64") {
        return refuse("invalid_content", "The content is not base64; the file was left out");
      }
      if (file.problem === "too_large") {
        return refuse("file_too_large", "The file is over 20 MiB; it was left out");
      }
      if (!taken.has(file.sha256)) {
        if (bytes + file.bytes > MAX_BOOKING_BYTES) {
          return refuse(
            "files_too_large",
            "The booking's files are over 50 MiB; this one was left out",
          );
        }
        taken.add(file.sha256);
        bytes += file.bytes;
      }
      return file;
    },
  };
}
