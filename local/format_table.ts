/** Rows as a table for the terminal: numbers to the right, long values cut at `width` characters. */
export function formatTable(
  rows: readonly Readonly<Record<string, unknown>>[],
  width = 36,
): string {
  const first = rows[0];
  if (first === undefined) return "  (no rows)";
  const columns = Object.keys(first);
  const cells = rows.map((row) => columns.map((column) => show(row[column], width)));
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((line) => [...(line[index] ?? "")].length))
  );
  const numeric = columns.map((column) => rows.every((row) => typeof row[column] === "number"));
  const line = (values: readonly string[]) =>
    `  ${
      values.map((value, index) => {
        const gap = " ".repeat(Math.max(0, (widths[index] ?? 0) - [...value].length));
        return numeric[index] ? gap + value : value + gap;
      }).join("  ")
    }`.trimEnd();
  const rule = `  ${widths.map((wide) => "─".repeat(wide)).join("  ")}`;
  return [line(columns), rule, ...cells.map(line)].join("\n");
}

function show(value: unknown, width: number): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const flat = [...text.replaceAll(/\s+/g, " ")];
  return flat.length <= width ? flat.join("") : `${flat.slice(0, width - 1).join("")}…`;
}
