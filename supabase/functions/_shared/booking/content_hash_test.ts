import assert from "node:assert/strict";
import { canonicalJson, contentHash } from "./content_hash.ts";
import type { Snapshot, SnapshotAttachment } from "./snapshot.ts";

type Draft = Omit<Snapshot, "content_hash">;

Deno.test("contentHash() is a SHA-256 in hex", () => {
  assert.match(contentHash(draft()), /^[0-9a-f]{64}$/);
});

Deno.test("contentHash() leaves out what changes on every read", () => {
  const other = draft();
  other.fetched_at = "2027-01-01T00:00:00Z";
  other.source_updated_at = "2027-01-01T00:00:00Z";
  other.source_version = 99;
  other.warnings = [{ field: "x", code: "y", message: "z" }];
  other.attachments!.items[0]!.url = "https://f.example.com/a.pdf?token=other";
  other.booking.map_drawing_url = "https://f.example.com/m.pdf?token=other#p";
  other.booking.extra = {
    portal: "https://x.example.com/c?token=other",
    exported_at: "2027-01-01",
    nested: { synced_at: 1, kept: true },
  };
  assert.equal(contentHash(other), contentHash(draft()));
});

Deno.test("contentHash() does not depend on the order of keys, days, products and files", () => {
  const other = draft();
  other.dates!.items.reverse();
  other.products!.items.reverse();
  other.attachments!.items.reverse();
  other.dates!.stated.reverse();
  other.attachments!.stated.reverse();
  other.booking = Object.fromEntries(Object.entries(other.booking).reverse());
  assert.equal(contentHash(other), contentHash(draft()));
});

Deno.test("contentHash() sees every change of content", () => {
  const changes: ((draft: Draft) => void)[] = [
    (d) => d.booking.title = "Other",
    (d) => d.booking.title = null,
    (d) => delete d.booking.title,
    (d) => d.booking.map_drawing_url = "https://f.example.com/other.pdf",
    (d) => d.booking.extra = { portal: "https://x.example.com/other" },
    (d) => d.deleted = true,
    (d) => delete d.dates,
    (d) => d.dates!.complete = true,
    (d) => d.dates!.complete = null,
    (d) => d.dates!.stated.pop(),
    (d) => d.dates!.items[0]!.start_time = "08:00:01",
    (d) => d.products!.complete = true,
    (d) => d.products!.stated = false,
    (d) => d.products!.items[0]!.unit_price = 2,
    (d) => d.products!.items.pop(),
    (d) => d.attachments!.stated.pop(),
    (d) => d.attachments!.items[0]!.listed_under = "files_metadata",
    (d) => d.attachments!.items[0]!.file_name = "other.pdf",
    (d) => d.attachments!.items[0]!.url_key = "https://f.example.com/other.pdf",
  ];
  const hashes = changes.map((change) => {
    const changed = draft();
    change(changed);
    return contentHash(changed);
  });
  assert.equal(new Set([contentHash(draft()), ...hashes]).size, changes.length + 1);
});

Deno.test("contentHash() counts a key __proto__ like any other", () => {
  const withKey = (json: string): string =>
    contentHash({ ...draft(), booking: { extra: JSON.parse(json) } });
  assert.notEqual(withKey('{"__proto__":{"a":1}}'), withKey('{"__proto__":{"a":2}}'));
  assert.notEqual(withKey('{"__proto__":{"a":1}}'), withKey("{}"));
});

Deno.test("canonicalJson() orders keys at every level and leaves undefined out", () => {
  const value = { b: [1, { d: null, c: "é" }], a: undefined, A: -0 };
  assert.equal(canonicalJson(value), '{"A":0,"b":[1,{"c":"é","d":null}]}');
  assert.equal(canonicalJson([]), "[]");
});

function draft(): Draft {
  return {
    external_id: "b1",
    fetched_at: "2026-11-21T12:00:00Z",
    source_updated_at: "2026-08-04T17:11:00Z",
    source_version: 7,
    booking: {
      title: "T",
      map_drawing_url: "https://f.example.com/m.pdf?token=1",
      extra: {
        portal: "https://x.example.com/c?token=1",
        exported_at: "2026-11-21",
        nested: { synced_at: 0, kept: true },
      },
    },
    dates: {
      complete: false,
      stated: ["rig", "event"],
      items: [
        { phase: "rig", day: "2026-05-01", start_time: "08:00:00" },
        { phase: "event", day: "2026-05-02" },
      ],
    },
    products: {
      complete: false,
      stated: true,
      items: [{ external_id: "p1", unit_price: 1 }, { external_id: "p2" }],
    },
    attachments: {
      complete: false,
      stated: ["attachments", "tent_images"],
      items: [
        file("https://f.example.com/a.pdf?token=1", "https://f.example.com/a.pdf"),
        file("https://f.example.com/b.pdf", "https://f.example.com/b.pdf"),
      ],
    },
  };
}

function file(url: string, urlKey: string): SnapshotAttachment {
  return { url, url_key: urlKey, listed_under: "attachments" };
}
