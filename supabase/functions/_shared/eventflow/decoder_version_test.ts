import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { JsonObject } from "../booking/snapshot.ts";
import { decodeBooking } from "./decode_booking.ts";
import { DECODER_VERSION } from "./decode_list.ts";

const FILES = [
  "attachments_every_list",
  "dates_every_name",
  "fields_alternates_all_present",
  "fields_unknown_kept",
  "hostile_text_kept",
  "products_fields",
  "products_package_components",
  "products_tree",
  "times_ranges",
];

/** What the bookings of these fixtures are decoded to, by the version of the decoder. */
const DIGESTS: Readonly<Record<number, string>> = {
  1: "75fbdcb640eb3c30",
};

Deno.test("DECODER_VERSION is raised with every change of what a booking is decoded to", () => {
  const digest = createHash("sha256");
  const directory = new URL("../../../../tests/fixtures/eventflow/", import.meta.url);
  for (const file of FILES) {
    const { request, response } = JSON.parse(
      Deno.readTextFileSync(new URL(`${file}.json`, directory)),
    );
    const { booking } = Object(response) as { booking?: JsonObject };
    const decoded = decodeBooking(booking, {
      organizationId: request.organization_id,
      fetchedAt: "2026-11-21T12:00:00Z",
      frame: {},
    });
    digest.update(decoded.ok ? decoded.snapshot.content_hash : decoded.invalid.code);
  }
  assert.equal(
    DIGESTS[DECODER_VERSION],
    digest.digest("hex").slice(0, 16),
    "Raise DECODER_VERSION and put the new digest here, or stored bookings are not decoded anew.",
  );
});
