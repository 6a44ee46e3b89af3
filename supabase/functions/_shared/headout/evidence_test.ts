import assert from "node:assert/strict";
import type { JsonObject, Snapshot } from "../booking/snapshot.ts";
import { decodeBooking } from "./decode_booking.ts";

// What an absence may be taken from (rule: absence is not a statement). Headout sends no flags, so
// `complete` is null everywhere; the rows have `stated` of the collection that they are about.

const LINK = "https://f.example.com/a.pdf";
const ADULT = { personType: "ADULT" };
const VARIANT = { variantId: "4711" };

const dates: Readonly<Record<string, readonly [JsonObject, readonly string[] | undefined]>> = {
  "key absent": [{}, undefined],
  "key null": [{ startDateTime: null }, []],
  "key empty": [{ startDateTime: "" }, []],
  "day": [{ startDateTime: "2026-07-14T18:30:00" }, ["event"]],
  "day with an unreadable time": [{ startDateTime: "2026-07-14T99:30:00" }, ["event"]],
  "unreadable day": [{ startDateTime: "soon" }, []],
  "day that is no text": [{ startDateTime: 20260714 }, []],
};

const products: Readonly<Record<string, readonly [JsonObject, boolean | undefined]>> = {
  "nothing": [{}, undefined],
  "variant alone": [VARIANT, false],
  "everybody": [{ ...VARIANT, customersDetails: { count: 1, customers: [ADULT] } }, true],
  "no count": [{ ...VARIANT, customersDetails: { customers: [ADULT, ADULT] } }, true],
  "fewer than counted": [{ ...VARIANT, customersDetails: { count: 2, customers: [ADULT] } }, false],
  "more than counted": [
    { ...VARIANT, customersDetails: { count: 1, customers: [ADULT, ADULT] } },
    false,
  ],
  "nobody": [{ ...VARIANT, customersDetails: { count: 0, customers: [] } }, false],
  "list null": [{ ...VARIANT, customersDetails: { count: 1, customers: null } }, false],
  "unreadable entry": [{ ...VARIANT, customersDetails: { customers: [ADULT, "child"] } }, false],
  "everybody without the variant": [{ customersDetails: { count: 1, customers: [ADULT] } }, false],
};

const attachments: Readonly<Record<string, readonly [JsonObject, readonly string[] | undefined]>> =
  {
    "neither key": [{}, undefined],
    "both": [{ voucherUrl: LINK, tickets: [] }, ["voucherUrl", "tickets"]],
    "voucher alone": [{ voucherUrl: LINK }, ["voucherUrl"]],
    "voucher null": [{ voucherUrl: null, tickets: [] }, ["tickets"]],
    "voucher that is no link": [{ voucherUrl: "javascript:alert(1)", tickets: [] }, ["tickets"]],
    "tickets null": [{ voucherUrl: LINK, tickets: null }, ["voucherUrl"]],
    "tickets that are codes": [
      { tickets: [{ publicId: "A", url: null, type: "QRCODE" }, "B-2"] },
      ["tickets"],
    ],
    "ticket that is no link": [{ tickets: [{ url: LINK }, { url: "javascript:alert(1)" }] }, []],
    "ticket with an unreadable link": [{ tickets: [{ url: LINK }, { url: 7 }] }, []],
    "empty ticket": [{ tickets: [{ url: LINK }, null] }, []],
  };

for (const [name, [booking, stated]] of Object.entries(dates)) {
  Deno.test(`decodeBooking() evidence of Headout's day: ${name}`, () => {
    const found = decode(booking).dates;
    assert.deepEqual(found && [found.complete, found.stated], stated && [null, stated]);
  });
}

for (const [name, [booking, stated]] of Object.entries(products)) {
  Deno.test(`decodeBooking() evidence of Headout's guests: ${name}`, () => {
    const found = decode(booking).products;
    const expected = stated === undefined ? undefined : [null, stated];
    assert.deepEqual(found && [found.complete, found.stated], expected);
  });
}

for (const [name, [booking, stated]] of Object.entries(attachments)) {
  Deno.test(`decodeBooking() evidence of Headout's files: ${name}`, () => {
    const found = decode(booking).attachments;
    assert.deepEqual(found && [found.complete, found.stated], stated && [null, stated]);
  });
}

Deno.test("decodeBooking() says of each of Headout's files which key has it", () => {
  const tickets = [{ url: "https://f.example.com/t.pdf" }, { url: LINK }];
  const files = decode({ voucherUrl: LINK, tickets }).attachments?.items;
  assert.deepEqual(files?.map(({ listed_under, url }) => [listed_under, url]), [
    ["voucherUrl", LINK],
    ["tickets", "https://f.example.com/t.pdf"],
  ]);
});

function decode(booking: JsonObject): Snapshot {
  const decoded = decodeBooking({ bookingId: "5", status: "COMPLETED", ...booking }, {
    fetchedAt: "2026-11-21T12:00:00Z",
  });
  assert.ok(decoded.ok, "the booking was refused");
  return decoded.snapshot;
}
