import { decodeList } from "./decode_list.ts"; import { decodeSingle } from "./decode_single.ts"; import { decodeList as hl } from "../headout/decode_list.ts"; import { decodeSingle as hs } from "../headout/decode_single.ts";
import { snapshotSchema } from "../booking/snapshot.ts"; import { SourceError } from "../booking/source_error.ts";
let seed = Number(Deno.args[0]); const rnd = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
const pick = (a) => a[Math.floor(rnd() * a.length)];
const vals = [null, "", " ", 0, -1, 1e999, -0, 1e300, true, false, [], {}, [[]], [null], "2026-01-01", "08:00-09:00", "\0", "\ud800", "x".repeat(700), "https://x.y/z?t=1", "javascript:1", "↳ a", { id: "p1" }, { name: null, id: 5 }, JSON.parse('{"__proto__":1,"constructor":2}'), "CONFIRMED", 12345678901234567890, [{}, { id: "a" }, { id: "a" }], "a#b", 1.5, "9999-99-99"];
function mutate(v) { if (rnd() < 0.08) return pick(vals); if (Array.isArray(v)) { const a = v.map(mutate); if (rnd() < .1) a.push(a[0]); if (rnd() < .05) a.reverse(); return a; } if (v && typeof v === "object") { const o = {}; for (const k of Object.keys(v)) { if (rnd() < 0.03) continue; Object.defineProperty(o, rnd() < 0.02 ? pick(["__proto__", "meta", "products", "toString", "k\0"]) : k, { value: mutate(v[k]), enumerable: true, writable: true, configurable: true }); } return o; } return v; }
const load = (d) => [...Deno.readDirSync(d)].map((f) => JSON.parse(Deno.readTextFileSync(d + "/" + f.name))).filter((f) => typeof f.response === "object");
const ef = load("tests/fixtures/eventflow"), ho = load("tests/fixtures/headout");
let n = 0, okc = 0, err = {}; const t0 = performance.now();
while (performance.now() - t0 < 25000) { const isH = rnd() < .3; const f = pick(isH ? ho : ef); const body = mutate(f.response); n++;
  try { let snaps; const q = { externalId: f.request.external_id ?? "x", organizationId: f.request.organization_id, fetchedAt: "2026-11-21T12:00:00.000Z", page: 1, limit: 5, offset: 0 };
    if (f.request.read === "page") { snaps = (isH ? hl : decodeList)(body, q).snapshots; } else { const a = (isH ? hs : decodeSingle)(body, q); snaps = a.snapshot ? [a.snapshot] : []; }
    for (const s of snaps) { okc++; snapshotSchema.parse(s); const j = JSON.stringify(s); if (/\\u0000|\\ud8/.test(j)) throw new Error("unstorable " + j.slice(0, 300)); const ids = s.products?.items.map((i) => i.external_id) ?? []; if (new Set(ids).size !== ids.length) throw new Error("dup"); }
  } catch (e) { if (!(e instanceof SourceError)) { console.log(JSON.stringify(body)?.slice(0, 500)); throw e; } err[e.details[0]?.code] = (err[e.details[0]?.code] ?? 0) + 1; if (JSON.stringify(e.details).includes("\\u0000")) throw new Error("nul in details"); } }
console.log(n, okc, JSON.stringify(err));
