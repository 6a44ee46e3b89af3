import assert from "node:assert/strict";
import { cachedUrlKey, isHttpUrl, shortKey, urlKey, withoutQuery } from "./child_keys.ts";

Deno.test("shortKey() keeps short text and hashes what an index cannot hold", () => {
  assert.equal(shortKey("p1#Bardisk"), "p1#Bardisk");
  assert.equal(shortKey("å".repeat(300)), "å".repeat(300));
  for (const text of ["x".repeat(301), "a\0b", "a\ud800"]) {
    assert.match(shortKey(text), /^sha256:[0-9a-f]{64}$/);
    assert.equal(shortKey(text), shortKey(text));
  }
  assert.notEqual(shortKey("x".repeat(301)), shortKey("x".repeat(302)));
});

Deno.test("urlKey() is the same for one file under changing tokens", () => {
  const key = "https://files.example.com/a/b%20c.pdf";
  for (
    const url of [
      "https://files.example.com/a/b c.pdf?token=1",
      "https://FILES.example.com:443/a/b%20c.pdf?token=2#page=2",
      " https://user:secret@files.example.com/a/b%20c.pdf#x?y ",
    ]
  ) assert.equal(urlKey(url), key, url);
});

Deno.test("urlKey() differs for files that differ in path, host or scheme", () => {
  const keys = [
    "https://a.example.com/1.pdf",
    "https://a.example.com/2.pdf",
    "https://b.example.com/1.pdf",
    "http://a.example.com/1.pdf",
  ].map(urlKey);
  assert.equal(new Set(keys).size, 4);
});

Deno.test("urlKey() drops what signs a URL or gets past caches, and nothing else of its query", () => {
  const base = "https://f.example.com/d";
  const rows: readonly (readonly [query: string, kept: string, cached: string])[] = [
    ["?id=7&token=a", "?id=7", "?id=7"],
    ["?token=a&id=7&v=3", "?id=7", "?id=7&v=3"],
    ["?X-Amz-Signature=a&X-Amz-Date=b&_=1", "", "?_=1"],
    ["?x-goog-algorithm=a&Expires=1&Signature=s&Key-Pair-Id=k&Policy=p", "", ""],
    ["?sig=a&se=b&sp=r&sv=1&sr=b&st=c&spr=https", "", ""],
    ["?t=1&cb=2&&", "", "?t=1&cb=2"],
    ["?file=a%20b&keyword=x", "?file=a%20b&keyword=x", "?file=a%20b&keyword=x"],
  ];
  for (const [query, kept, cached] of rows) {
    assert.equal(urlKey(base + query), base + kept);
    assert.equal(cachedUrlKey(base + query), base + cached);
  }
});

Deno.test("urlKey() only cuts text that is not an absolute URL", () => {
  assert.equal(urlKey("/files/a.pdf?token=1"), "/files/a.pdf");
  assert.equal(withoutQuery("plain"), "plain");
});

Deno.test("isHttpUrl() takes absolute http and https URLs only", () => {
  assert.ok(isHttpUrl("HTTPS://example.com/a"));
  for (const text of ["javascript:alert(1)", "data:,x", "//example.com/a", "/a", "a.pdf", ""]) {
    assert.equal(isHttpUrl(text), false, text);
  }
});
