import { drain, letTimePass, letWaitsPass } from "../support/deliveries.ts";
import type { TestStack } from "../support/stack.ts";
import { count, type Tally } from "./misfortune.ts";
import type { World } from "./world.ts";

/**
 * Everything has happened: faults end, what is under way arrives, and drains do what is due. What was
 * given up is replayed, as an operator would.
 */
export async function settleDeliveries(stack: TestStack, tally: Tally): Promise<void> {
  await arriveAll(stack);
  await drainAll(stack, tally);
  const dead = { status: "dead", count_only: false };
  const { data, error } = await stack.service.rpc("replay_deliveries", dead);
  if (error !== null) throw new Error(error.message);
  tally["deliveries replayed"] = data[0].replayed;
  await drainAll(stack, tally);
  await settleEvidence(stack, tally);
}

/** What no delivery could bring: one reconcile, and the release of what the brake held. */
export async function settleTheRest(
  stack: TestStack,
  world: World,
  tally: Tally,
): Promise<void> {
  for (const { id, source } of world.organizations) await reconcile(stack, id, source);
  await drainAll(stack, tally);
  await settleEvidence(stack, tally);
  await releaseAll(stack, tally);
  await drainAll(stack, tally);
  await settleEvidence(stack, tally);
}

/**
 * What is doubted and what the senders said is decided by further reads, as their waits pass; an
 * emptied list, which reads do not decide, by a person who looks at the source and accepts it.
 */
async function settleEvidence(stack: TestStack, tally: Tally): Promise<void> {
  for (let round = 0; round < 12; round++) {
    await letWaitsPass(stack.database);
    await drainAll(stack, tally);
    const [open] = await stack.database.query<{ count: number }>(
      "select count(*)::integer as count from sync.deliveries where function = 'confirm' and status = 'pending'",
    );
    // An emptied list that is accepted may leave other doubts of its booking to be read.
    if (open?.count === 0 && await acceptEmptied(stack, tally) === 0) return;
  }
}

async function acceptEmptied(stack: TestStack, tally: Tally): Promise<number> {
  const emptied = await stack.database.query<{ booking_id: number; collection: string }>(
    "select distinct booking_id, collection from sync.doubts where emptied",
  );
  for (const { booking_id, collection } of emptied) {
    const decision = { booking_id, collection, by: "the disorder test" };
    const { error } = await stack.service.rpc("accept_absence", decision);
    if (error !== null) throw new Error(error.message);
    count(tally, "emptied lists accepted");
  }
  return emptied.length;
}

/** Waits until every webhook that will ever arrive has done so, and all functions answer. */
async function arriveAll(stack: TestStack): Promise<void> {
  const deadline = Date.now() + 60_000;
  for (const source of ["eventflow", "headout"] as const) {
    await stack[source].clearFaults();
    await stack[source].flush();
    while ((await stack[source].webhooks(Infinity)).pending > 0) await pause(deadline, source);
  }
  while (stack.functions.all.some((each) => !each.ready())) await pause(deadline, "functions");
}

/** Drains until nothing is left to do, letting the backoffs pass; not for ever. */
async function drainAll(stack: TestStack, tally: Tally): Promise<void> {
  for (let round = 0; round < 60; round++) {
    await letTimePass(stack.database);
    await drain(stack);
    count(tally, "drains");
    const [left] = await stack.database.query<{ count: number }>(
      `select count(*)::integer as count from sync.deliveries
       where status in ('pending', 'processing')
         and (function <> 'confirm' or next_attempt_at <= now())`,
    );
    if (left?.count === 0) return;
  }
}

async function reconcile(
  stack: TestStack,
  organizationId: string,
  source: string,
): Promise<void> {
  for (let call = 0; call < 100; call++) {
    const answer = await stack.postImport({
      syncMode: "reconcile",
      repair: true,
      organization_id: organizationId,
      source,
    });
    if (answer.status !== 200) {
      throw new Error(`reconcile answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    }
    if (answer.body.completed) return;
  }
  throw new Error("The reconcile run does not come to its end");
}

async function releaseAll(stack: TestStack, tally: Tally): Promise<void> {
  const held = await stack.database.query<{ id: number }>(
    "select id from sync.held_changes where released_at is null and dismissed_at is null",
  );
  tally["held changes released"] = (tally["held changes released"] ?? 0) + held.length;
  if (held.length === 0) return;
  const { error } = await stack.service.rpc("release_held_changes", {
    held_change_ids: held.map(({ id }) => id),
    by: "the disorder test",
  });
  if (error !== null) throw new Error(error.message);
}

async function pause(deadline: number, what: string): Promise<void> {
  if (Date.now() > deadline) throw new Error(`Still waiting for ${what}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
}
