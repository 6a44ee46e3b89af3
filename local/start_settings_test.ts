import assert from "node:assert/strict";
import { OperatorError } from "./errors.ts";
import { startSettings } from "./start_settings.ts";

Deno.test("startSettings() has a default for everything", () => {
  assert.deepEqual(startSettings({ HOME: "/root", DATABASE_URL: " " }), {
    port: 54321,
    seedDemo: true,
    tick: true,
    functions: {},
  });
});

Deno.test("startSettings() takes what is set", () => {
  const settings = startSettings({
    PORT: "8000",
    DATABASE_URL: "postgresql://u:p@db/x",
    SEED_DEMO: "false",
    TICK: "0",
    WEBHOOK_SECRET: "mine",
  });
  assert.deepEqual(settings, {
    port: 8000,
    databaseUrl: "postgresql://u:p@db/x",
    seedDemo: false,
    tick: false,
    functions: { WEBHOOK_SECRET: "mine" },
  });
});

for (const [name, value] of [["PORT", "abc"], ["DATABASE_URL", "mysql://x"], ["TICK", "maybe"]]) {
  Deno.test(`startSettings() names ${name} when it is malformed`, () => {
    assert.throws(
      () => startSettings({ [name ?? ""]: value ?? "" }),
      (error) => error instanceof OperatorError && error.message.includes(name ?? "?"),
    );
  });
}
