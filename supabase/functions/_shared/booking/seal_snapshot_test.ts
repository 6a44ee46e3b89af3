import assert from "node:assert/strict";
import { contentHash } from "./content_hash.ts";
import { sealSnapshot } from "./seal_snapshot.ts";
import { SNAPSHOT_LIMITS } from "./snapshot.ts";

type Draft = Parameters<typeof sealSnapshot>[0];

Deno.test("sealSnapshot() adds the hash of the content and nothing else", () => {
  assert.deepEqual(sealSnapshot(draft()), { ...draft(), content_hash: contentHash(draft()) });
});

Deno.test("sealSnapshot() keeps a key __proto__ in extra", () => {
  const extra = JSON.parse('{"__proto__":{"a":1}}');
  const sealed = sealSnapshot(draft({ booking: { extra } }));
  assert.equal(JSON.stringify(sealed.booking.extra), '{"__proto__":{"a":1}}');
});

Deno.test("sealSnapshot() refuses by the name of the field", () => {
  const rows = Array.from({ length: SNAPSHOT_LIMITS.products + 1 }, (_, index) => ({
    external_id: String(index),
  }));
  const cases: [Partial<Draft>, string, string][] = [
    [{ booking: { latitude: 91 } }, "invalid_field", "latitude"],
    [{ products: { complete: false, stated: true, items: rows } }, "invalid_field", "products"],
    [
      { products: { complete: false, stated: true, items: [{ external_id: "x".repeat(601) }] } },
      "invalid_field",
      "products[0]",
    ],
    [
      { dates: { complete: false, stated: ["rig"], items: [{ phase: "rig", day: "2026-02-30" }] } },
      "invalid_field",
      "dates[0].day",
    ],
    [{ fetched_at: "yesterday" }, "invalid_field", "fetched_at"],
    [{ source_version: -1 }, "invalid_field", "source_version"],
  ];
  for (const [change, code, field] of cases) {
    assert.throws(() => sealSnapshot(draft(change)), { name: "BookingRefusal", code, field });
  }
});

function draft(change: Partial<Draft> = {}): Draft {
  return { external_id: "b1", fetched_at: "2026-11-21T12:00:00Z", booking: {}, ...change };
}
