import { contentHash } from "./content_hash.ts";
import { BookingRefusal } from "./refusal.ts";
import { sealedSnapshotSchema, type Snapshot } from "./snapshot.ts";
import { type Draft, keepStorable } from "./storable.ts";

/**
 * The finished snapshot: storable, valid by the schema and with its `content_hash`. Every decoder
 * ends here. Fields that cannot be stored are left out with a warning; a `BookingRefusal` means that
 * a decoder has let something through that it should have read.
 */
export function sealSnapshot(sent: Draft): Snapshot {
  const draft = keepStorable(sent);
  const sealed = { ...draft, content_hash: contentHash(draft) };
  const result = sealedSnapshotSchema.safeParse(sealed);
  if (result.success) return sealed;
  const issue = result.error.issues[0];
  const path = (issue?.path ?? []).filter((part) => part !== "booking" && part !== "items");
  throw new BookingRefusal("invalid_field", fieldPath(path), issue?.message ?? "is invalid");
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (field, part) =>
      typeof part === "number"
        ? `${field}[${part}]`
        : field === ""
        ? String(part)
        : `${field}.${String(part)}`,
    "",
  );
}
