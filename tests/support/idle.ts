import { eventually } from "./answers.ts";
import type { TestStack } from "./stack.ts";

/**
 * Waits until nothing goes on behind the answers: no call of a function is under way, and no
 * delivery is being worked on or due. What a background task may still ask for then finds nothing
 * to do. A test that compares all rows begins with it.
 */
export async function untilIdle(stack: TestStack): Promise<void> {
  await eventually("the stack is idle", async () => {
    if (stack.callsUnderWay() > 0) return false;
    const [open] = await stack.database.query<{ count: number }>(
      `select count(*)::integer as count from sync.deliveries
       where status = 'processing' or (status = 'pending' and next_attempt_at <= now())`,
    );
    return open?.count === 0 && stack.callsUnderWay() === 0;
  });
}
