import assert from "node:assert/strict";
import { guardPage } from "./page_guard.ts";
import type { Page } from "./booking_source.ts";

Deno.test("guardPage() goes on after a full page with new ids", () => {
  const verdict = guardPage(new Set(["a"]), page());
  assert.deepEqual(verdict, { proceed: true, next: 3, fresh: ["b"] });
});

Deno.test("guardPage() stops at a short page and still names what was new", () => {
  const { next: _next, ...short } = page();
  const verdict = guardPage(new Set(), { ...short, last: true });
  assert.deepEqual(verdict, { proceed: false, reason: "last_page", fresh: ["a", "b"] });
});

Deno.test("guardPage() stops at an empty page that claims to have a next one", () => {
  const verdict = guardPage(new Set(["a"]), page({ ids: [] }));
  assert.deepEqual(verdict, { proceed: false, reason: "empty_page", fresh: [] });
});

Deno.test("guardPage() stops when a server that ignores page sends the same ids again", () => {
  const verdict = guardPage(new Set(["a", "b", "c"]), page());
  assert.deepEqual(verdict, { proceed: false, reason: "nothing_new", fresh: [] });
});

Deno.test("guardPage() stops at a page without one readable id", () => {
  const invalid = [{ code: "missing_id", field: "id", message: "" }];
  const verdict = guardPage(new Set(), page({ ids: [], invalid }));
  assert.deepEqual(verdict, { proceed: false, reason: "nothing_new", fresh: [] });
});

function page(changes: Partial<Page> = {}): Page {
  return { snapshots: [], invalid: [], ids: ["a", "b"], last: false, next: 3, ...changes };
}
