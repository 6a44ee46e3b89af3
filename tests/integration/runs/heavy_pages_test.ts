import assert from "node:assert/strict";
import { fullScale } from "../../support/scale.ts";
import { type TestStack, useStack } from "../../support/stack.ts";
import { eventflowBooking, runWell } from "./support.ts";

const stackTest = useStack();

/** Content that differs from booking to booking, in base64. */
function contentOf(number: number, bytes: number): string {
  const content = new Uint8Array(bytes).fill(number % 256);
  content.set([number >> 8, number & 255, bytes & 255]);
  return content.toBase64();
}

async function uploads(stack: TestStack, organizationId: string) {
  return await stack.database.query<{ name: string; size: number; written: string }>(
    `select name, (metadata ->> 'size')::integer as size, updated_at::text as written
     from storage.objects where starts_with(name, $1) order by name`,
    [`${organizationId}/`],
  );
}

/** A page of over 32 MiB: at full scale 500 bookings with a drawing of 67 KB each. */
const [COUNT, BYTES] = fullScale ? [500, 67_000] as const : [25, 1_050_000] as const;

stackTest(
  "a page that is too large with its drawings is read in smaller ones, within the memory of a worker",
  async (stack) => {
    const organizationId = await stack.organization();
    for (let number = 0; number < COUNT; number++) {
      const map_drawing = { name: "karta.png", content_base64: contentOf(number, BYTES) };
      await stack.eventflow.create(eventflowBooking(organizationId, number, { map_drawing }));
    }
    const { counters } = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual(counters.verdicts, { created: COUNT });
    assert.ok(counters.peak_heap_bytes < 128 * 1024 * 1024, `${counters.peak_heap_bytes} bytes`);
    const stored = await uploads(stack, organizationId);
    assert.deepEqual([stored.length, stored[0]?.size], [COUNT, BYTES]);
    const again = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual(again.counters.verdicts, { unchanged: COUNT });
    assert.deepEqual(await uploads(stack, organizationId), stored);
  },
);

/** What takes half a minute; the rest shows the same with less. */
const nightlyTest: typeof stackTest = fullScale ? stackTest : () => {};

nightlyTest(
  "bookings with 3 MB of files each are all stored, and a second import uploads nothing",
  async (stack) => {
    const organizationId = await stack.organization();
    const count = 100;
    for (let number = 0; number < count; number++) {
      const attachments = [0, 1, 2].map((file) => ({
        file_name: `${file}.pdf`,
        content_base64: contentOf(number * 3 + file, 1_000_000),
      }));
      await stack.eventflow.create(eventflowBooking(organizationId, number, { attachments }));
    }
    const { counters } = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual(counters.verdicts, { created: count });
    assert.ok(counters.peak_heap_bytes < 128 * 1024 * 1024, `${counters.peak_heap_bytes} bytes`);
    const stored = await uploads(stack, organizationId);
    assert.equal(stored.length, 3 * count);
    await stack.database.query(
      "update sync.source_states set raw_hash = null where organization_id = $1",
      [organizationId],
    );
    const again = await runWell(stack, organizationId, { syncMode: "full" });
    assert.deepEqual(again.counters.verdicts, { unchanged: count });
    assert.deepEqual(await uploads(stack, organizationId), stored);
  },
);

stackTest(
  "a booking that is too large by itself is named in the counters, and the rest of the run goes on",
  async (stack) => {
    const organizationId = await stack.organization();
    for (let number = 0; number < 9; number++) {
      const junk = number === 4 ? { junk: Array(300_000).fill([]) } : {};
      await stack.eventflow.create(eventflowBooking(organizationId, number, junk));
    }
    const { counters, completed } = await runWell(stack, organizationId, { syncMode: "full" });
    assert.equal(completed, true);
    assert.deepEqual(counters.verdicts, { created: 8, invalid: 1 });
    const [refused] = counters.refused;
    assert.equal(refused.code, "answer_too_large");
    assert.ok(refused.external_id, "it is not named");
  },
);
