import assert from "node:assert/strict";
import { formatTable } from "./format_table.ts";

Deno.test("formatTable() aligns columns, numbers to the right, and cuts long values", () => {
  const rows = [
    { name: "Stol", quantity: 4, notes: null },
    { name: "Partytält åtta meter", quantity: 12, notes: "två\nrader" },
  ];
  assert.equal(
    formatTable(rows, 10),
    [
      "  name        quantity  notes",
      "  ──────────  ────────  ─────────",
      "  Stol               4",
      "  Partytält…        12  två rader",
    ].join("\n"),
  );
});

Deno.test("formatTable() says when there are no rows", () => {
  assert.equal(formatTable([]), "  (no rows)");
});
