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

  async function drainNow(timePasses: boolean): Promise<void> {
    draining = true;
    count(tally, "drains");
    if (timePasses) await letTimePass(stack.database);
    // A worker that is killed while it drains answers nothing, or 503.
    await drain(stack).catch(() => {});
    draining = false;
  }
  return (event) => {
    if (event % 50 === 0) {
      const timePasses = random.chance(0.5);
      if (!draining) void drainNow(timePasses);
    }
    if (event % killEvery === 0) {
      const victim = random.pick(["receive-booking", "headout-webhook", "import-bookings"]);
      stack.functions.get(victim)?.kill("SIGKILL");
      count(tally, `killed: ${victim}`);
    }
  };
}
