import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { bodyOf } from "../support/answers.ts";
import { only } from "../support/tenant.ts";
import { type TestStack, useStack } from "../support/stack.ts";

const stackTest = useStack();

const BUCKET = "booking-files";

/** A file's content, its own for each name. */
function contentOf(name: string, bytes = 5_000): Uint8Array<ArrayBuffer> {
  const content = new Uint8Array(bytes).map((_, at) => at * 31 % 256);
  new TextEncoder().encodeInto(name, content);
  return content;
}

const base64 = (content: Uint8Array): string => content.toBase64();
const hashOf = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

async function bookingWith(stack: TestStack, fields: Record<string, unknown>) {
  const organization_id = await stack.organization();
  const booking = await stack.eventflow.create({
    organization_id,
    title: "Sommarfest",
    status: "CONFIRMED",
    event_dates: ["2027-06-02"],
    ...fields,
  });
  return { booking_id: String(booking.id), organization_id };
}

const filesOf = (stack: TestStack, organization: string) =>
  stack.database.query<{ url: string; url_key: string; file_name: string; missing: boolean }>(
    `select url, url_key, file_name, source_missing_since is not null as missing
     from public.booking_attachments where organization_id = $1 order by file_name`,
    [organization],
  );

const uploads = (stack: TestStack, organization: string) =>
  stack.database.query<{ name: string; size: number; written: string }>(
    `select name, (metadata ->> 'size')::integer as size, updated_at::text as written
     from storage.objects where bucket_id = '${BUCKET}' and starts_with(name, $1) order by name`,
    [`${organization}/`],
  );

stackTest(
  "import-bookings keeps files that come with a booking, once for the same content",
  async (stack) => {
    const plan = contentOf("plan");
    const tent = contentOf("tent");
    const order = await bookingWith(stack, {
      attachments: [
        { file_name: "Plan.PDF", content_base64: base64(plan) },
        { file_name: "the same.pdf", content_base64: base64(plan) },
        { name: "link.pdf", url: "https://f.example.com/a.pdf?token=1" },
      ],
      tent_images: [{
        tent_index: 1,
        view_key: "top",
        content_base64: `data:image/png;base64,${base64(tent)}`,
      }],
      map_drawing: { file_name: "karta.svg", content_base64: base64(contentOf("map")) },
    });
    const { organization_id, booking_id } = order;
    const first = bodyOf(await stack.postImport(order));
    assert.deepEqual([first.outcome, first.warnings], ["created", []]);
    const folder = `${organization_id}/eventflow/${booking_id}`;
    assert.deepEqual(await filesOf(stack, organization_id), [
      {
        url: `${folder}/${hashOf(plan)}.pdf`,
        url_key: `storage:${hashOf(plan)}`,
        file_name: "Plan.PDF",
        missing: false,
      },
      {
        url: `${folder}/${hashOf(tent)}.png`,
        url_key: `storage:${hashOf(tent)}`,
        file_name: "Tält 1 - top",
        missing: false,
      },
      {
        url: "https://f.example.com/a.pdf?token=1",
        url_key: "https://f.example.com/a.pdf",
        file_name: "link.pdf",
        missing: false,
      },
    ]);
    const [{ map }] = await stack.database.query<{ map: string }>(
      "select map_drawing_url as map from public.bookings where organization_id = $1",
      [organization_id],
    ) as [{ map: string }];
    assert.equal(map, `${folder}/${hashOf(contentOf("map"))}.svg`);
    const stored = await uploads(stack, organization_id);
    assert.deepEqual(stored.map(({ size }) => size), [5_000, 5_000, 5_000]);

    const again = bodyOf(await stack.postImport({ ...order, force: true }));
    assert.equal(again.outcome, "unchanged");
    assert.deepEqual(await uploads(stack, organization_id), stored, "something was uploaded again");
  },
);

stackTest("members open the files of their organization, and nobody else does", async (stack) => {
  const content = contentOf("secret");
  const order = await bookingWith(stack, {
    attachments: [{ file_name: "a.txt", content_base64: base64(content) }],
  });
  bodyOf(await stack.postImport(order));
  const { url } = only(await filesOf(stack, order.organization_id));

  const member = (await stack.userOf(order.organization_id)).storage.from(BUCKET);
  const opened = await member.download(url);
  assert.equal(opened.error, null);
  assert.deepEqual(new Uint8Array(await opened.data!.arrayBuffer()), content);
  const signed = await member.createSignedUrl(url, 60);
  const answer = await fetch(signed.data!.signedUrl);
  assert.deepEqual(new Uint8Array(await answer.arrayBuffer()), content);

  const others = [await stack.userOf(await stack.organization()), await stack.userOf()];
  for (const other of others) {
    const bucket = other.storage.from(BUCKET);
    assert.equal((await bucket.download(url)).data, null);
    assert.equal((await bucket.createSignedUrl(url, 60)).data, null);
    assert.deepEqual((await bucket.list(order.organization_id)).data, []);
    assert.equal(
      (await bucket.upload(`${order.organization_id}/x.txt`, new Blob(["x"]))).data,
      null,
    );
  }
  // A member reads; only the sync writes and removes.
  assert.equal((await member.upload(`${order.organization_id}/x.txt`, new Blob(["x"]))).data, null);
  assert.deepEqual((await member.remove([url])).data, []);
  for (
    const [method, path] of [["GET", `object/${BUCKET}/${url}`], ["POST", `object/list/${BUCKET}`]]
  ) {
    const bare = await fetch(`${stack.url}/storage/v1/${path}`, { method: method! });
    await bare.body?.cancel();
    assert.equal(bare.status, 403);
  }
});

stackTest(
  "a file that is too large or no base64 is left out with a warning, and its booking lands",
  async (stack) => {
    const order = await bookingWith(stack, {
      attachments: [
        { file_name: "film.mov", content_base64: base64(contentOf("film", 21 * 1024 * 1024)) },
        { file_name: "note.txt", content_base64: "***" },
        { file_name: "ok.txt", content_base64: base64(contentOf("ok")) },
      ],
    });
    const answer = bodyOf(await stack.postImport(order));
    assert.equal(answer.outcome, "created");
    assert.deepEqual(
      answer.warnings.map(({ field, code }: { field: string; code: string }) => [field, code]),
      [
        ["attachments[0].content_base64", "file_too_large"],
        ["attachments[1].content_base64", "invalid_content"],
      ],
    );
    const kept = await filesOf(stack, order.organization_id);
    assert.deepEqual(kept.map(({ file_name }) => file_name), ["ok.txt"]);
  },
);

stackTest(
  "a file that Storage does not take is tried again until it does, and its booking lands",
  async (stack) => {
    const limit = (bytes: number) =>
      stack.database.query("update storage.buckets set file_size_limit = $1 where id = $2", [
        bytes,
        BUCKET,
      ]);
    const order = await bookingWith(stack, {
      attachments: [
        { file_name: "plan.txt", content_base64: base64(contentOf("again")) },
        { file_name: "link.pdf", url: "https://f.example.com/a.pdf" },
      ],
    });
    const names = async () =>
      (await filesOf(stack, order.organization_id)).map(({ file_name }) => file_name);
    await limit(1);
    const first = bodyOf(await stack.postEventflow(order)).sync;
    assert.equal(first.outcome, "created");
    assert.deepEqual(await names(), ["link.pdf"]);
    const timeline = await stack.service.rpc("explain_booking", {
      booking_id: only(
        await stack.database.query<{ id: string }>(
          "select id::text from public.bookings where organization_id = $1",
          [order.organization_id],
        ),
      ).id,
    });
    assert.match(JSON.stringify(timeline.data), /plan\.txt could not be stored/);
    const confirm = () =>
      stack.database.query<{ status: string }>(
        `update sync.deliveries d set next_attempt_at = now() from sync.connections c
       where c.id = d.connection_id and c.organization_id = $1 and d.function = 'confirm'
         and d.status = 'pending' returning d.status`,
        [order.organization_id],
      );
    const due = () =>
      stack.database.query(
        "update sync.missing_files set due_at = now() where organization_id = $1",
        [
          order.organization_id,
        ],
      );
    // Storage is still away at the second try.
    await due();
    assert.equal((await confirm()).length, 1);
    bodyOf(await stack.postImport({ syncMode: "drain" }));
    assert.deepEqual(await names(), ["link.pdf"]);
    await limit(20 * 1024 * 1024);
    await due();
    assert.equal((await confirm()).length, 1);
    bodyOf(await stack.postImport({ syncMode: "drain" }));
    assert.deepEqual(await names(), ["link.pdf", "plan.txt"]);
    assert.deepEqual(await confirm(), [], "it is asked for although nothing is missing");
  },
);

stackTest("the sweep takes away what nothing names, after a week", async (stack) => {
  const order = await bookingWith(stack, {
    attachments: [{ file_name: "old.txt", content_base64: base64(contentOf("old")) }],
  });
  bodyOf(await stack.postImport(order));
  const { organization_id } = order;
  const bucket = stack.service.storage.from(BUCKET);
  for (const name of ["stray.txt", "young.txt"]) {
    assert.equal((await bucket.upload(`${organization_id}/${name}`, new Blob(["x"]))).error, null);
  }
  await stack.database.query(
    `update storage.objects set created_at = now() - interval '8 days', updated_at = now() - interval '8 days'
     where starts_with(name, $1) and name not like '%young.txt'`,
    [`${organization_id}/`],
  );
  bodyOf(await stack.postImport({ syncMode: "reconcile", source: "eventflow", organization_id }));
  const left = await uploads(stack, organization_id);
  const { url } = only(await filesOf(stack, organization_id));
  assert.deepEqual(
    left.map(({ name }) => name).sort(),
    [url, `${organization_id}/young.txt`].sort(),
  );
});
