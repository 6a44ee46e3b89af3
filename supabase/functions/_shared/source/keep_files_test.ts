import assert from "node:assert/strict";
import { sealSnapshot } from "../booking/seal_snapshot.ts";
import type { Snapshot } from "../booking/snapshot.ts";
import { storedKey, storedPath } from "./inline_files.ts";
import { type FileStore, keepFiles } from "./keep_files.ts";

const HASHES = ["a", "b"].map((letter) => letter.repeat(64));
const FILES = new Map(HASHES.map((sha256) => [
  sha256,
  { sha256, bytes: 1, content: [new Uint8Array(1)] },
]));
const OWNER = {
  organizationId: "7d0c2f8e-3a52-4c1e-9a8e-1f6f0a4b5c01",
  source: "eventflow",
  externalId: "b1",
} as const;
const [A, B] = HASHES.map((hash) => storedPath(OWNER, hash, "png")) as [string, string];

function snapshot(): Snapshot {
  return sealSnapshot({
    external_id: "b1",
    fetched_at: "2026-11-21T12:00:00.000Z",
    booking: { title: "T", map_drawing_url: B },
    attachments: {
      complete: null,
      stated: ["attachments", "tent_images"],
      items: [
        { url: A, url_key: storedKey(HASHES[0]!), listed_under: "attachments", file_name: "a.png" },
        { url: "https://f.test/x", url_key: "https://f.test/x", listed_under: "tent_images" },
      ],
    },
  });
}

function store(found: readonly string[], fails: (path: string) => boolean = () => false) {
  const put: string[] = [];
  const files: FileStore = {
    find: (paths) => Promise.resolve(new Set(paths.filter((path) => found.includes(path)))),
    put: (path) => {
      if (fails(path)) return Promise.reject(new Error("down"));
      return Promise.resolve(void put.push(path));
    },
  };
  return { files, put };
}

Deno.test("keepFiles() uploads what is not there, and changes nothing then", async () => {
  const { files, put } = store([A]);
  const given = [snapshot()];
  assert.equal(await keepFiles(files, given, FILES), given);
  assert.deepEqual(put, [B]);
});

Deno.test("keepFiles() goes on without a file that Storage does not take, and says so", async () => {
  const { files } = store([], () => true);
  const [kept] = await keepFiles(files, [snapshot()], FILES);
  assert.deepEqual(kept?.attachments?.items.map(({ url }) => url), ["https://f.test/x"]);
  // The list is not stated as a whole any more: nothing may follow from the absence.
  assert.deepEqual(kept?.attachments?.stated, ["tent_images"]);
  assert.equal(kept?.missing_files, true);
  assert.deepEqual(kept?.warnings?.map(({ field, code }) => [field, code]), [
    ["attachments", "file_not_stored"],
    ["map_drawing", "file_not_stored"],
  ]);
  assert.notEqual(kept?.content_hash, snapshot().content_hash);
  assert.equal(Object.hasOwn(kept?.booking ?? {}, "map_drawing_url"), false);
});

Deno.test("keepFiles() ends with its caller, not with a warning", async () => {
  const reason = new Error("budget over");
  const { files } = store([]);
  await assert.rejects(keepFiles(files, [snapshot()], FILES, AbortSignal.abort(reason)), reason);
});

Deno.test("storedPath() names an id that no path can have by its hash", () => {
  const path = storedPath({ ...OWNER, externalId: "../å/b" }, HASHES[0]!, "png");
  assert.match(path, /^7d0c2f8e-[0-9a-f-]+\/eventflow\/sha256-[0-9a-f]{64}\/a{64}\.png$/);
});
