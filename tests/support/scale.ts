/**
 * Whether tests run at full size, `TEST_SCALE=full`: what `test:nightly` does. Otherwise they are
 * small enough for a run after every change, and claim nothing about speed.
 */
export const fullScale: boolean = Deno.env.get("TEST_SCALE") === "full";
