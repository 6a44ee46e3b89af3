import type { Snapshot } from "../../supabase/functions/_shared/booking/snapshot.ts";
import { decodeSingle as decodeEventflow } from "../../supabase/functions/_shared/eventflow/decode_single.ts";
import { decodeSingle as decodeHeadout } from "../../supabase/functions/_shared/headout/decode_single.ts";
import type { SingleQuestion } from "../../supabase/functions/_shared/eventflow/identity.ts";
import type { SingleAnswer } from "../../supabase/functions/_shared/source/booking_source.ts";
import { readSourceJson } from "../../supabase/functions/_shared/source/source_response.ts";
import type { TestStack } from "../support/stack.ts";
import { readRows } from "./domain_rows.ts";
import type { World, WorldBooking, WorldOrganization } from "./world.ts";

/** A row that is not what it must be. */
export interface WrongRow {
  readonly booking: string;
  readonly ours: string;
  readonly theirs: string;
}

/**
 * Holds every row of every booking against what the decoder makes of the source's last word on a
 * clean organization. Of a cancelled booking EventFlow says no more than that; of a deleted one too.
 */
export async function findWrongRows(
  stack: TestStack,
  world: World,
  isMeant: (booking: WorldBooking) => boolean = () => true,
): Promise<readonly WrongRow[]> {
  const wrong: WrongRow[] = [];
  for (const organization of world.organizations) {
    const known = world.bookings.filter((each) =>
      each.organizationId === organization.id && each.state !== "unborn"
    );
    const bookings = known.filter(isMeant);
    const whole = bookings.filter(({ source, state }) =>
      source === "headout" || state === "present"
    );
    const mirror = await mirrorOf(stack, organization, whole);
    const ours = await readRows(stack.database, organization.id);
    const theirs = await readRows(stack.database, mirror);
    for (const booking of bookings) {
      const mine = ours.get(booking.id) ?? [];
      if (whole.includes(booking)) {
        wrong.push(...differences(booking.id, mine, theirs.get(booking.id) ?? []));
      } else wrong.push(...await checkEnded(stack, booking));
    }
    const ids = new Set(known.map(({ id }) => id));
    for (const id of ours.keys()) {
      if (!ids.has(id)) wrong.push({ booking: id, ours: "a booking", theirs: "none" });
    }
  }
  return wrong;
}

/** The same bookings, imported once into an organization where nothing has happened. */
async function mirrorOf(
  stack: TestStack,
  organization: WorldOrganization,
  bookings: readonly WorldBooking[],
): Promise<string> {
  const mirror = await stack.organization();
  const snapshots: Snapshot[] = [];
  for (const booking of bookings) snapshots.push(await decode(stack, booking));
  for (let first = 0; first < snapshots.length; first += 100) {
    const { data, error } = await stack.service.rpc("apply_snapshots", {
      organization_id: mirror,
      source: organization.source,
      snapshots: snapshots.slice(first, first + 100),
    });
    if (error !== null) throw new Error(error.message);
    const refused = data.find((each: { verdict: string }) => each.verdict !== "created");
    if (refused !== undefined) throw new Error(`A clean import failed: ${JSON.stringify(refused)}`);
  }
  return mirror;
}

async function decode(stack: TestStack, booking: WorldBooking): Promise<Snapshot> {
  const question = {
    externalId: booking.id,
    organizationId: booking.organizationId,
    fetchedAt: new Date().toISOString(),
  };
  const stated = await stack[booking.source].get(booking.id);
  const answer = booking.source === "headout"
    ? decodeHeadout(stated, question)
    : await decodeAnswer({ data: [stated] }, question);
  if (!("snapshot" in answer)) throw new Error(`${booking.id} is absent at its source`);
  return answer.snapshot;
}

/** As an answer over HTTP, from which files are cut out before it is decoded. */
async function decodeAnswer(
  answer: unknown,
  question: SingleQuestion,
): Promise<SingleAnswer> {
  const { body, files } = await readSourceJson(Response.json(answer), {
    source: "EventFlow",
    maxBytes: 100_000_000,
  });
  return decodeEventflow(body, { ...question, files });
}

function differences(
  booking: string,
  ours: readonly string[],
  theirs: readonly string[],
): readonly WrongRow[] {
  const more = ours.filter((row) => !theirs.includes(row));
  const fewer = theirs.filter((row) => !ours.includes(row));
  return Array.from({ length: Math.max(more.length, fewer.length) }, (_, index) => ({
    booking,
    ours: more[index] ?? "none",
    theirs: fewer[index] ?? "none",
  }));
}

/** Cancelled and not projected; or marked missing. It may never have been here: then nothing. */
async function checkEnded(stack: TestStack, booking: WorldBooking): Promise<readonly WrongRow[]> {
  const [row] = await stack.database.query<{ status: string; missing: boolean; active: number }>(
    `select b.status, b.source_missing_since is not null as missing,
       (select count(*)::integer from public.calendar_events e where e.booking_id = b.id and e.active)
       + (select count(*)::integer from public.packing_projects p where p.booking_id = b.id and p.active) as active
     from public.bookings b where b.organization_id = $1 and b.external_id = $2`,
    [booking.organizationId, booking.id],
  );
  if (row === undefined) return [];
  const right = booking.state === "deleted"
    ? row.missing
    : row.status === "CANCELLED" && row.active === 0;
  return right ? [] : [{ booking: booking.id, ours: JSON.stringify(row), theirs: booking.state }];
}
