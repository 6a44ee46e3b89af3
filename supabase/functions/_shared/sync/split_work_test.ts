import assert from "node:assert/strict";
import { ORGANIZATION, OTHER_ORGANIZATION } from "../testing.ts";
import { groupDeliveries, type ReadDelivery, splitPage } from "./split_work.ts";
import { snapshotOf } from "./testing_source.ts";

const MB = 1024 * 1024;

function readDelivery(
  externalId: string,
  changes: { bytes?: number; days?: number; attempts?: number; organizationId?: string } = {},
): ReadDelivery {
  const { bytes, days = 0, attempts = 1, organizationId = ORGANIZATION } = changes;
  const items = Array.from(
    { length: days },
    (_, n) => ({ phase: "rig", day: `${2000 + n}-01-01` }),
  );
  return {
    claimed: {
      deliveryId: `d-${externalId}`,
      leaseToken: `l-${externalId}`,
      organizationId,
      source: "eventflow",
      externalId,
      attempts,
    },
    snapshot: {
      external_id: externalId,
      fetched_at: "2026-08-04T17:11:00.000Z",
      content_hash: "0".repeat(64),
      booking: {},
      dates: { complete: true, stated: ["rig"], items },
    } as unknown as ReadDelivery["snapshot"],
    ...(bytes === undefined ? {} : { bytes }),
  };
}

function grouped(...read: readonly ReadDelivery[]): readonly string[] {
  return groupDeliveries(read).map((group) =>
    group.map(({ claimed }) => claimed.externalId).join("")
  );
}

Deno.test("groupDeliveries() makes one call for each organization", () => {
  const other = { organizationId: OTHER_ORGANIZATION };
  assert.deepEqual(
    grouped(
      readDelivery("a"),
      readDelivery("b", other),
      readDelivery("c"),
      readDelivery("d", other),
    ),
    ["ac", "bd"],
  );
});

Deno.test("groupDeliveries() bounds a call by rows and by bytes", () => {
  const many = { days: 2_000 };
  assert.deepEqual(
    grouped(readDelivery("a", many), readDelivery("b", many), readDelivery("c", many)),
    ["ab", "c"],
  );
  const heavy = { bytes: 3 * MB };
  assert.deepEqual(
    grouped(readDelivery("a", heavy), readDelivery("b", heavy), readDelivery("c", heavy)),
    ["ab", "c"],
  );
});

Deno.test("groupDeliveries() applies alone a booking that is larger than a call", () => {
  const small = { bytes: 1_000 };
  assert.deepEqual(
    grouped(
      readDelivery("a", small),
      readDelivery("b", { bytes: 9 * MB }),
      readDelivery("c", small),
      readDelivery("d", { days: 6_000 }),
      readDelivery("e"),
    ),
    ["ace", "b", "d"],
  );
});

Deno.test("groupDeliveries() applies alone what has failed twice", () => {
  assert.deepEqual(
    grouped(readDelivery("a"), readDelivery("b", { attempts: 3 }), readDelivery("c")),
    ["ac", "b"],
  );
});

Deno.test("splitPage() makes one part of a page that fits, and one empty part of an empty page", () => {
  assert.deepEqual(splitPage([]), [[]]);
  const page = Array.from({ length: 500 }, (_, index) => snapshotOf(`b${index}`));
  assert.deepEqual(splitPage(page).map((part) => part.length), [500]);
});

Deno.test("splitPage() splits by bookings and by rows, in order, and never an empty part", () => {
  const page = Array.from({ length: 1_001 }, (_, index) => snapshotOf(`b${index}`));
  assert.deepEqual(splitPage(page).map((part) => part.length), [500, 500, 1]);
  const items = Array.from({ length: 5_000 }, (_, index) => ({ external_id: `p${index}` }));
  const heavy = page.slice(0, 7).map((each) => ({
    ...each,
    products: { complete: false, stated: true, items },
  }));
  assert.deepEqual(splitPage(heavy).map((part) => part.length), [2, 2, 2, 1]);
  assert.deepEqual(splitPage(heavy).flat(), heavy);
  const huge = {
    ...heavy[0]!,
    products: { complete: false, stated: true, items: [...items, ...items, ...items, ...items] },
  };
  assert.deepEqual(splitPage([huge, huge]).map((part) => part.length), [1, 1]);
});
