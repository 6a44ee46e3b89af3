import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { checkSignature } from "./check_signature.ts";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"booking_id":"b-1"}';

/** A correctly signed request; a test breaks exactly one thing. */
function sign(changes: { at?: Date; headers?: Record<string, string>; secret?: string } = {}) {
  const at = changes.at ?? new Date();
  const webhook = new Webhook(changes.secret ?? SECRET);
  return new Headers({
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1_000)),
    "webhook-signature": webhook.sign("msg_1", at, BODY),
    ...changes.headers,
  });
}

function check(headers: Headers, body = BODY, secrets: readonly string[] = [SECRET]) {
  return checkSignature(new TextEncoder().encode(body), headers, secrets);
}

Deno.test("checkSignature() accepts a right signature", () => {
  assert.equal(check(sign()), "right");
});

Deno.test("checkSignature() accepts a right one among several", () => {
  const several = `v1,AAAA ${sign().get("webhook-signature")}`;
  assert.equal(check(sign({ headers: { "webhook-signature": several } })), "right");
});

Deno.test("checkSignature() accepts the previous secret during a rotation", () => {
  const old = "whsec_b2xkIHNlY3JldCBvZiAzMiBjaGFyYWN0ZXJzIQ==";
  assert.equal(check(sign({ secret: old }), BODY, [SECRET, old]), "right");
  assert.equal(check(sign({ secret: old })), "wrong");
});

Deno.test("checkSignature() reads the headers under the names of Svix too", () => {
  const signed = sign();
  const svix = new Headers(
    ["id", "timestamp", "signature"].map((name) => [
      `svix-${name}`,
      signed.get(`webhook-${name}`) ?? "",
    ]),
  );
  assert.equal(check(svix), "right");
  svix.set("svix-id", "msg_2");
  assert.equal(check(svix), "wrong");
  // Another name for a header adds nothing that is not signed.
  assert.equal(check(new Headers([...svix, ["webhook-id", "msg_3"]])), "wrong");
});

Deno.test("checkSignature() is absent without a signature or a secret", () => {
  const headers = sign();
  assert.equal(check(headers, BODY, []), "absent");
  headers.delete("webhook-signature");
  assert.equal(check(headers), "absent");
});

for (
  const [what, headers, body] of [
    ["another body", sign(), `${BODY} `],
    ["a byte order mark", sign(), `\uFEFF${BODY}`],
    ["another id", sign({ headers: { "webhook-id": "msg_2" } }), BODY],
    ["no id", sign({ headers: { "webhook-id": "" } }), BODY],
    ["another secret", sign({ secret: "whsec_AAAA" }), BODY],
    ["an old timestamp", sign({ at: new Date(Date.now() - 301_000) }), BODY],
    ["a future timestamp", sign({ at: new Date(Date.now() + 302_000) }), BODY],
    ["no timestamp", sign({ headers: { "webhook-timestamp": "x" } }), BODY],
    ["a signature of another version", sign({ headers: { "webhook-signature": "v2,AAAA" } }), BODY],
    ["a signature without a value", sign({ headers: { "webhook-signature": "v1" } }), BODY],
  ] as const
) {
  Deno.test(`checkSignature() is wrong for ${what}`, () => {
    assert.equal(check(headers, body), "wrong");
  });
}
