import assert from "node:assert/strict";
import type { JsonObject, Snapshot } from "../booking/snapshot.ts";
import { decodeBooking } from "./decode_booking.ts";

// What an absence may be taken from (rule: absence is not a statement), row by row: what EventFlow
// sends, and `complete`, `stated` and the items of the one collection that the row is about.

const ORGANIZATION = "7d0c2f8e-3a52-4c1e-9a8e-1f6f0a4b5c01";
const DAY = "2026-09-02";
const NEXT = "2026-09-03";
const LINK = "https://f.example.com/a.pdf";
const OTHER = "https://f.example.com/b.pdf";

/** A file that was cut out of the answer, and where it will lie. */
const HASH = "a".repeat(64);
const CUT_OUT = { omitted_bytes: 8, sha256: HASH };
const STORED = `${ORGANIZATION}/eventflow/b1/${HASH}.png`;

/** About the days: items are `phase day`. */
const dates: Readonly<Record<string, readonly [JsonObject, Evidence | undefined]>> = {
  "no key of any phase": [{}, undefined],
  "no flag": [{ event_dates: [DAY] }, [null, ["event"], [`event ${DAY}`]]],
  "flag true": [
    { event_dates: [DAY], dates_complete: true },
    [true, ["event"], [`event ${DAY}`]],
  ],
  "flag false": [
    { event_dates: [DAY], dates_complete: false },
    [false, ["event"], [`event ${DAY}`]],
  ],
  "flag by its other name": [
    { event_dates: [DAY], calendar_complete: true },
    [true, ["event"], [`event ${DAY}`]],
  ],
  "flag true, and false in meta": [
    { event_dates: [DAY], dates_complete: true, meta: { calendar_complete: false } },
    [false, ["event"], [`event ${DAY}`]],
  ],
  "flag that is no boolean": [
    { event_dates: [DAY], dates_complete: "true", meta: { dates_complete: 1 } },
    [null, ["event"], [`event ${DAY}`]],
  ],
  "flag null": [
    { event_dates: [DAY], dates_complete: null },
    [null, ["event"], [`event ${DAY}`]],
  ],
  "list empty": [{ rig_up_dates: [] }, [null, ["rig"], []]],
  "list empty, flag true": [
    { rig_up_dates: [], dates_complete: true },
    [true, ["rig"], []],
  ],
  "key null": [{ rig_up_dates: null }, [null, [], []]],
  "key null, flag true": [{ rig_up_dates: null, dates_complete: true }, [true, [], []]],
  "key with white space alone": [{ rigdaydate: "  " }, [null, [], []]],
  "another phase's key absent": [
    { rig_up_dates: [DAY], rig_down_dates: [NEXT] },
    [null, ["rig", "rigdown"], [`rig ${DAY}`, `rigdown ${NEXT}`]],
  ],
  "one day under a key of its own": [{ eventdate: DAY }, [null, ["event"], [`event ${DAY}`]]],
  "list null beside a day": [
    { event_dates: null, eventdate: DAY },
    [null, ["event"], [`event ${DAY}`]],
  ],
  "day null beside a list": [
    { event_dates: [DAY], eventdate: null, event_date: "" },
    [null, ["event"], [`event ${DAY}`]],
  ],
  "day null beside an empty list": [
    { event_dates: [], eventdate: null },
    [null, ["event"], []],
  ],
  "two lists of a phase": [
    { rig_up_dates: [NEXT], rig_dates: [DAY] },
    [null, ["rig"], [`rig ${DAY}`, `rig ${NEXT}`]],
  ],
  "list with an unreadable entry": [
    { rig_up_dates: [DAY, "TBD"] },
    [null, [], [`rig ${DAY}`]],
  ],
  "list with an unreadable entry, flag true": [
    { rig_up_dates: [DAY, { date: NEXT }], dates_complete: true },
    [true, [], [`rig ${DAY}`]],
  ],
  "list with an empty entry": [{ rig_up_dates: [DAY, null] }, [null, [], [`rig ${DAY}`]]],
  "list with a blank entry": [{ rig_up_dates: [DAY, " "] }, [null, [], [`rig ${DAY}`]]],
  "unreadable day beside a list": [
    { rig_up_dates: [DAY], rig_date: "TBD" },
    [null, [], [`rig ${DAY}`]],
  ],
  "unreadable day beside an empty list": [
    { rig_up_dates: [], rig_date: "2026-02-30" },
    [null, [], []],
  ],
  "unreadable entry of one phase only": [
    { rig_up_dates: ["TBD"], event_dates: [DAY] },
    [null, ["event"], [`event ${DAY}`]],
  ],
  "key that is neither a day nor a list": [{ rig_up_dates: { from: DAY } }, [null, [], []]],
};

/** About the products: items are external ids. */
const products: Readonly<Record<string, readonly [JsonObject, Evidence | undefined]>> = {
  "key absent": [{}, undefined],
  "key absent, flag true": [{ products_complete: true }, undefined],
  "key null": [{ products: null }, undefined],
  "key null, flag true": [{ products: null, products_complete: true }, undefined],
  "key that is no list": [{ products: { id: "a" } }, undefined],
  "no flag": [{ products: [{ id: "a" }] }, [null, true, ["a"]]],
  "flag true": [{ products: [{ id: "a" }], products_complete: true }, [true, true, ["a"]]],
  "flag false": [{ products: [{ id: "a" }], products_complete: false }, [false, true, ["a"]]],
  "list empty": [{ products: [] }, [null, true, []]],
  "list empty, flag true": [{ products: [], products_complete: true }, [true, true, []]],
  "list with an unreadable entry": [{ products: [{ id: "a" }, "b"] }, [null, false, ["a"]]],
  "list with an unreadable entry, flag true": [
    { products: [{ id: "a" }, null], products_complete: true },
    [true, false, ["a"]],
  ],
  "entry with an unreadable id": [
    { products: [{ id: { uuid: "a" }, name: "Stol" }] },
    [null, false, ["~/Stol/1"]],
  ],
  "entry with an unreadable id beside a readable one": [
    { products: [{ id: 1.5, product_id: "a" }] },
    [null, true, ["a"]],
  ],
  "entry without an id": [{ products: [{ name: "Stol" }] }, [null, true, ["~/Stol/1"]]],
  "entry with an unreadable field": [
    { products: [{ id: "a", quantity: {} }] },
    [null, true, ["a"]],
  ],
  "one id twice": [{ products: [{ id: "a" }, { id: "a" }] }, [null, true, ["a"]]],
  "components null": [
    { products: [{ id: "a", package_components: null }] },
    [null, true, ["a"]],
  ],
  "components that are no list": [
    { products: [{ id: "a", package_components: "none" }] },
    [null, false, ["a"]],
  ],
  "component that is no object": [
    { products: [{ id: "a", package_components: [{ name: "Disk" }, 7] }] },
    [null, false, ["a", "a#Disk"]],
  ],
};

/** About the files: items are `key of the list: link`. */
const attachments: Readonly<Record<string, readonly [JsonObject, Evidence | undefined]>> = {
  "no key": [{}, undefined],
  "key null": [{ attachments: null }, undefined],
  "no flag": [
    { attachments: [{ url: LINK }] },
    [null, ["attachments"], [`attachments: ${LINK}`]],
  ],
  "flag true": [
    { attachments: [{ url: LINK }], attachments_complete: true },
    [true, ["attachments"], [`attachments: ${LINK}`]],
  ],
  "flag false": [
    { attachments: [{ url: LINK }], attachments_complete: false },
    [false, ["attachments"], [`attachments: ${LINK}`]],
  ],
  "list empty": [{ attachments: [] }, [null, ["attachments"], []]],
  "every list": [
    { attachments: [], files_metadata: [{ url: LINK }], tent_images: [{ public_url: OTHER }] },
    [
      null,
      ["attachments", "files_metadata", "tent_images"],
      [`files_metadata: ${LINK}`, `tent_images: ${OTHER}`],
    ],
  ],
  "one file in two lists": [
    { attachments: [{ url: LINK }], files_metadata: [{ url: `${LINK}?token=1` }] },
    [null, ["attachments", "files_metadata"], [`attachments: ${LINK}`]],
  ],
  "another list null": [
    { attachments: [{ url: LINK }], tent_images: null },
    [null, ["attachments"], [`attachments: ${LINK}`]],
  ],
  "another list null, flag true": [
    { attachments: [], tent_images: null, attachments_complete: true },
    [true, ["attachments"], []],
  ],
  "another list that is no list": [
    { attachments: [], tent_images: {} },
    [null, ["attachments"], []],
  ],
  "list with an entry that is no object": [
    { attachments: [{ url: LINK }, OTHER] },
    [null, [], [`attachments: ${LINK}`]],
  ],
  "list with an unusable link": [
    { attachments: [{ url: LINK }, { url: "javascript:alert(1)" }], files_metadata: [] },
    [null, ["files_metadata"], [`attachments: ${LINK}`]],
  ],
  "list with an unusable link, flag true": [
    { attachments: [{ url: "/b.pdf" }], attachments_complete: true },
    [true, [], []],
  ],
  "list with content instead of a link": [
    { attachments: [{ url: LINK }, { name: "b.png", content_base64: CUT_OUT }] },
    [null, ["attachments"], [`attachments: ${LINK}`, `attachments: ${STORED}`]],
  ],
  "list with content that was none": [
    { attachments: [{ url: LINK }, { name: "b.png", content_base64: {} }, { content_base64: 7 }] },
    [null, [], [`attachments: ${LINK}`]],
  ],
};

type Evidence = readonly [
  complete: boolean | null,
  stated: boolean | readonly string[],
  items: readonly string[],
];

for (const [name, [booking, expected]] of Object.entries(dates)) {
  Deno.test(`decodeBooking() evidence of days: ${name}`, () => {
    const found = decode(booking).dates;
    const items = found?.items.map(({ phase, day }) => `${phase} ${day}`) ?? [];
    assert.deepEqual(found && [found.complete, found.stated, items], expected);
  });
}

for (const [name, [booking, expected]] of Object.entries(products)) {
  Deno.test(`decodeBooking() evidence of products: ${name}`, () => {
    const found = decode(booking).products;
    const items = found?.items.map(({ external_id }) => external_id) ?? [];
    assert.deepEqual(found && [found.complete, found.stated, items], expected);
  });
}

for (const [name, [booking, expected]] of Object.entries(attachments)) {
  Deno.test(`decodeBooking() evidence of files: ${name}`, () => {
    const found = decode(booking).attachments;
    const items = found?.items.map(({ listed_under, url }) => `${listed_under}: ${url}`) ?? [];
    assert.deepEqual(found && [found.complete, found.stated, items], expected);
  });
}

Deno.test("decodeBooking() keeps an unreadable day in extra, with a warning that names it", () => {
  const { booking, warnings } = decode({ rig_up_dates: [DAY, "TBD"], eventdate: "soon" });
  assert.deepEqual(booking.extra, { rig_up_dates: [DAY, "TBD"], eventdate: "soon" });
  assert.deepEqual(warnings?.map(({ field, code }) => [field, code]), [
    ["rig_up_dates[1]", "invalid_day"],
    ["eventdate", "invalid_day"],
  ]);
});

function decode(booking: JsonObject): Snapshot {
  const decoded = decodeBooking({ id: "b1", ...booking }, {
    organizationId: ORGANIZATION,
    fetchedAt: "2026-11-21T12:00:00Z",
    frame: {},
    files: new Map([[HASH, { sha256: HASH, bytes: 8, content: [] }]]),
  });
  assert.ok(decoded.ok, "the booking was refused");
  return decoded.snapshot;
}
