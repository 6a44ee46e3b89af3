import type { Random } from "../../local/simulators/random.ts";
import { drain, letTimePass } from "../support/deliveries.ts";
import type { TestStack } from "../support/stack.ts";
import { count, type Tally } from "./misfortune.ts";

/** What goes on beside the events: drains, leases that end under a worker's hands, deaths. */
export function createPace(
  stack: TestStack,
  random: Random,
  events: number,
  tally: Tally,
): (event: number) => void {
  const killEvery = Math.max(250, Math.round(events / 40));
  let draining = false;

  async function drainNow(): Promise<void> {
    draining = true;
    count(tally, "drains");
    // A worker that is killed while it drains answers nothing, or 503.
    await drain(stack).catch(() => {});
    draining = false;
  }
  return (event) => {
    if (event % 50 === 0 && !draining) void drainNow();
    // Leases end while somebody is at work.
    if (event % 50 === 25 && random.chance(0.5)) void letTimePass(stack.database).catch(() => {});
    if (event % killEvery === 0) {
      const victim = random.pick(["receive-booking", "headout-webhook", "import-bookings"]);
      stack.functions.get(victim)?.kill("SIGKILL");
      count(tally, `killed: ${victim}`);
    }
  };
}
