import type { ErrorDetail } from "../errors.ts";

/** Deeper nesting is refused, since Postgres and our serializer recurse. */
const MAX_DEPTH = 64;
const MAX_FINDINGS = 10;

/**
 * What Postgres' jsonb cannot store in a parsed JSON value: NUL characters and lone surrogates, in
 * values and keys, and nesting beyond 64 levels. At most 10 findings; empty if the value can be
 * stored.
 */
export function findUnstorable(value: unknown): readonly ErrorDetail[] {
  const findings: ErrorDetail[] = [];
  const queue: { readonly value: unknown; readonly path: string; readonly depth: number }[] = [
    { value, path: "", depth: 0 },
  ];
  for (let item = queue.pop(); item && findings.length < MAX_FINDINGS; item = queue.pop()) {
    if (typeof item.value === "string") {
      if (!isStorableText(item.value)) findings.push(unstorable(item.path));
    } else if (typeof item.value === "object" && item.value !== null) {
      if (item.depth >= MAX_DEPTH) {
        findings.push({
          field: "body",
          code: "too_deep",
          message: `Expected at most ${MAX_DEPTH} levels of nesting.`,
        });
        break;
      }
      for (const [key, child] of Object.entries(item.value)) {
        const path = item.path === "" ? key : `${item.path}.${key}`;
        if (!isStorableText(key)) findings.push(unstorable(path));
        queue.push({ value: child, path, depth: item.depth + 1 });
      }
    }
  }
  return findings.slice(0, MAX_FINDINGS);
}

/** Whether Postgres' text and jsonb can hold the string: no NUL, no lone surrogate. */
export function isStorableText(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed();
}

/** The string with unstorable characters written as JSON escapes: `\u0000`, `\ud800`. */
export function escapeUnstorable(text: string): string {
  return isStorableText(text) ? text : text
    .replaceAll("\0", "\\u0000")
    .replace(
      /\p{Surrogate}/gu,
      (lone) => `\\u${lone.charCodeAt(0).toString(16)}`,
    );
}

function unstorable(path: string): ErrorDetail {
  return {
    field: shown(path),
    code: "unstorable_text",
    message: "Expected text without NUL characters and lone surrogates.",
  };
}

function shown(path: string): string {
  return path === "" ? "body" : escapeUnstorable(path.slice(0, 200));
}
