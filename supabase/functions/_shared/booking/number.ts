const SPACES = String.raw`[ \u00a0\u2007\u2009\u202f]`;
const GROUPED = new RegExp(`^-?\\d{1,3}(?:${SPACES}\\d{3})+(?=[.,]|$)`);

/**
 * A number as people write it: `3,5`, `1 200,50`, `1.234,50`, `1,234.50`, with a typographic minus,
 * with spaces that are not to be broken. Of two kinds of separators the last is the decimal one; one
 * comma alone is decimal, and so is one point. `undefined` for anything else.
 */
export function parseNumber(text: string): number | undefined {
  let digits = text.trim().replace(/^[\u2212\u2012\u2013\u2014]\s*/, "-").replace(/^\+/, "");
  if (GROUPED.test(digits)) digits = digits.replace(new RegExp(SPACES, "g"), "");
  const comma = digits.lastIndexOf(",");
  const point = digits.lastIndexOf(".");
  if (comma >= 0 && point >= 0) {
    const [thousands, decimal] = comma > point ? [".", ","] : [",", "."];
    const [whole = "", fraction = "", more] = digits.split(decimal);
    if (more !== undefined || !isGrouped(whole, thousands)) return undefined;
    digits = `${whole.replaceAll(thousands, "")}.${fraction}`;
  } else {
    const separator = comma >= 0 ? "," : ".";
    const several = digits.split(separator).length > 2;
    if (several && !isGrouped(digits, separator)) return undefined;
    digits = several ? digits.replaceAll(separator, "") : digits.replace(",", ".");
  }
  return /^-?(?:\d+(?:\.\d+)?|\.\d+)$/.test(digits) ? Number(digits) : undefined;
}

/** Whether each separator stands before three digits. */
function isGrouped(text: string, separator: string): boolean {
  const [first = "", ...rest] = text.split(separator);
  return /^-?\d{1,3}$/.test(first) && rest.every((group) => /^\d{3}$/.test(group));
}
