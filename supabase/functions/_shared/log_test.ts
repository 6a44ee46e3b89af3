import assert from "node:assert/strict";
import { createLog } from "./log.ts";
import { NOW, withWallClock } from "./testing.ts";

function build(now: () => number = () => NOW) {
  const lines: string[] = [];
  return { log: createLog("receive-booking", { write: (line) => lines.push(line), now }), lines };
}

Deno.test("createLog() writes one JSON line per event", () => {
  const { log, lines } = build();
  log.info("request", { request_id: "req-1", status: 200, caller: "right" });
  assert.equal(lines.length, 1);
  const line = JSON.parse(lines[0]!);
  assert.equal(line.message, "request");
  assert.equal(line.logger, "receive-booking");
  assert.deepEqual([line.request_id, line.status, line.caller], ["req-1", 200, "right"]);
  assert.doesNotMatch(lines[0]!, /\n/);
});

Deno.test("createLog() hides secrets and personal data by field and by pattern", () => {
  const { log, lines } = build();
  log.error("failed", {
    api_key: "k-1",
    authorization: "Bearer k-2",
    contact_name: "Anna Ek",
    contact: { phone: "0701234567", email: "x" },
    headers: { cookie: "c=1" },
    why: "anna@ek.se called https://x.test/?key=k-3 with sb_secret_k4 and " +
      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
  });
  assert.doesNotMatch(lines.join(), /k-\d|k4|Anna|070|c=1|anna@|c2lnbm/);
});

Deno.test("createLog() leaves out what is below its level", () => {
  const lines: string[] = [];
  const log = createLog("x", { level: "warning", write: (line) => lines.push(line) });
  log.info("no");
  log.warn("yes");
  assert.equal(lines.length, 1);
});

Deno.test("createLog() limits lines in 10 s, says how many it left out, goes on", () => {
  let time = NOW;
  const { log, lines } = build(() => time);
  for (let index = 0; index < 200; index++) log.info("request");
  assert.equal(lines.length, 60);
  time += 10_000;
  log.info("request");
  assert.equal(lines.length, 61);
  assert.equal(JSON.parse(lines[60]!).suppressed, 140);
});

Deno.test("createLog() keeps no other line out while strangers are refused", () => {
  const { log, lines } = build();
  for (let index = 0; index < 200; index++) {
    log.warn("request", { status: 401, caller: "wrong" });
    log.info("request", { status: 405 });
  }
  assert.equal(lines.length, 15);
  log.warn("import call failed");
  assert.equal(JSON.parse(lines[15]!).suppressed, 385);
  log.info("request", { status: 400, caller: "right" });
  log.info("request", { status: 200, caller: "right" });
  assert.equal(lines.length, 18);
});

Deno.test("createLog() writes every error", () => {
  const { log, lines } = build();
  for (let index = 0; index < 200; index++) log.warn("import call failed");
  assert.equal(lines.length, 15);
  for (let index = 0; index < 200; index++) log.error("the brake holds changes");
  assert.equal(lines.length, 215);
});

Deno.test("createLog() goes on writing when the wall clock is set back", async () => {
  await withWallClock((step) => {
    const lines: string[] = [];
    let later = 0;
    const real = performance.now;
    performance.now = () => real.call(performance) + later;
    try {
      const log = createLog("x", { write: (line) => lines.push(line) });
      for (let index = 0; index < 200; index++) log.info("request");
      step(-3_600_000);
      later = 10_000;
      log.info("request");
    } finally {
      performance.now = real;
    }
    assert.equal(lines.length, 61);
    return Promise.resolve();
  });
});
