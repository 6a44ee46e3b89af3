import assert from "node:assert/strict";
import { bodyOf } from "../../support/answers.ts";
import { type TestStack, useStack } from "../../support/stack.ts";

const stackTest = useStack();

const COUNT = 30;

async function organizationWith(stack: TestStack, fields: Record<string, unknown> = {}) {
  const organization_id = await stack.organization();
  const ids: string[] = [];
  for (let index = 0; index < COUNT; index++) {
    const { id } = await stack.eventflow.create({
      organization_id,
      title: `Fest ${index}`,
      status: "CONFIRMED",
      event_dates: ["2027-06-02"],
      products: [{ id: "p1", name: "Tält", quantity: 2 }],
      ...fields,
    });
    ids.push(String(id));
  }
  return { organization_id, ids };
}

async function run(stack: TestStack, organization_id: string, syncMode = "full") {
  const { counters } = bodyOf(
    await stack.postImport({ syncMode, source: "eventflow", organization_id }),
  );
  return { bookings: counters.bookings, ...counters.verdicts };
}

/** When the state of each booking was last written. */
const written = (stack: TestStack, organization: string) =>
  stack.database.query(
    `select external_id, updated_at::text, raw_hash is not null as known from sync.source_states
     where organization_id = $1 order by 1`,
    [organization],
  );

stackTest(
  "a full run decodes no booking of which the text is known, and counts it as unchanged",
  async (stack) => {
    const { organization_id, ids } = await organizationWith(stack);
    assert.deepEqual(await run(stack, organization_id), { bookings: COUNT, created: COUNT });
    const before = await written(stack, organization_id);
    assert.ok(before.every(({ known }) => known));
    // What would be decoded again would be told by its warning.
    assert.deepEqual(await run(stack, organization_id), { bookings: COUNT, unchanged: COUNT });
    assert.deepEqual(await written(stack, organization_id), before, "something was written");

    await stack.eventflow.patch(ids[3]!, { title: "Höstfest" });
    assert.deepEqual(await run(stack, organization_id), {
      bookings: COUNT,
      unchanged: COUNT - 1,
      updated: 1,
    });
    const [{ title }] = await stack.database.query<{ title: string }>(
      "select title from public.bookings where organization_id = $1 and external_id = $2",
      [organization_id, ids[3]],
    ) as [{ title: string }];
    assert.equal(title, "Höstfest");
  },
);

stackTest(
  "a text that was overtaken by a webhook is decoded again, and so is one whose hash was cleared",
  async (stack) => {
    const { organization_id, ids } = await organizationWith(stack);
    await run(stack, organization_id);
    const [first, second] = ids as [string, string];
    const booking = await stack.eventflow.get(first);
    await stack.eventflow.patch(first, { title: "Höstfest" });
    bodyOf(await stack.postEventflow({ booking_id: first, organization_id }));
    // The list goes back to what it said before: the text is one that was known, and is none now.
    await stack.eventflow.put(first, { ...booking, version: 99 });
    await stack.database.query(
      `update public.bookings set title = 'Drift' where organization_id = $1 and external_id = $2`,
      [organization_id, second],
    );
    await stack.database.query(
      `update sync.source_states set content_hash = null where organization_id = $1 and external_id = $2`,
      [organization_id, second],
    );
    await run(stack, organization_id);
    assert.deepEqual(
      await stack.database.query(
        `select title from public.bookings where organization_id = $1 and external_id = any ($2)
       order by external_id = $3 desc`,
        [organization_id, `{${first},${second}}`, first],
      ),
      [{ title: "Fest 0" }, { title: "Fest 1" }],
    );
  },
);

stackTest("a reconcile decodes every booking, whatever text is known", async (stack) => {
  const { organization_id, ids } = await organizationWith(stack);
  await run(stack, organization_id);
  await stack.database.query(
    `update public.bookings set title = 'Drift' where organization_id = $1 and external_id = $2`,
    [organization_id, ids[5]],
  );
  assert.deepEqual(await run(stack, organization_id), { bookings: COUNT, unchanged: COUNT });
  const found = await run(stack, organization_id, "reconcile");
  assert.equal(found.updated, 1);
});

stackTest("a page in which only tokens change is decoded, and writes nothing", async (stack) => {
  const { organization_id, ids } = await organizationWith(stack, {
    attachments: [{ url: "https://f.example.com/a.pdf?token=1" }],
  });
  await run(stack, organization_id);
  const before = await written(stack, organization_id);
  for (const id of ids) {
    await stack.eventflow.patch(id, {
      attachments: [{ url: "https://f.example.com/a.pdf?token=2" }],
    }, { bump: false });
  }
  assert.deepEqual(await run(stack, organization_id), { bookings: COUNT, unchanged: COUNT });
  assert.deepEqual(await written(stack, organization_id), before);
});

stackTest("what a run passes over counts as seen", async (stack) => {
  const { organization_id, ids } = await organizationWith(stack);
  await run(stack, organization_id);
  await stack.database.query(
    `update sync.source_states set missing_sightings = 1, missing_first_seen_at = now()
     where organization_id = $1 and external_id = $2`,
    [organization_id, ids[0]],
  );
  await run(stack, organization_id);
  assert.deepEqual(
    await stack.database.query(
      "select external_id from sync.source_states where organization_id = $1 and missing_sightings > 0",
      [organization_id],
    ),
    [],
  );
});
