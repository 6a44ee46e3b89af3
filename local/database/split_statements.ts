/**
 * The statements of a SQL script as the Supabase CLI records them: trimmed, without the closing
 * semicolon, comments kept with the statement that follows them, empty ones left out.
 */
export function splitStatements(script: string): readonly string[] {
  const statements: string[] = [];
  let start = 0;
  let index = 0;
  let atomicDepth = 0;
  while (index < script.length) {
    const after = skipOpaque(script, index);
    if (after > index) {
      index = after;
      continue;
    }
    const word = wordAt(script, index);
    if (word !== "") {
      atomicDepth = depthAfter(script, start, index, word.toLowerCase(), atomicDepth);
      index += word.length;
      continue;
    }
    if (script[index] === ";" && atomicDepth === 0) {
      statements.push(script.slice(start, index));
      start = index + 1;
    }
    index++;
  }
  statements.push(script.slice(start));
  return statements.map((statement) => statement.trim()).filter((statement) => statement !== "");
}

/** Where the string, quoted name, dollar quote or comment that begins here ends; else `index`. */
function skipOpaque(script: string, index: number): number {
  const two = script.slice(index, index + 2);
  if (two === "--") return indexAfter(script, "\n", index);
  if (two === "/*") return afterBlockComment(script, index);
  if (script[index] === '"') return indexAfter(script, '"', index + 1);
  if (script[index] === "'") {
    const escaped = /(^|[^a-z0-9_])e$/i.test(script.slice(Math.max(0, index - 2), index));
    return afterString(script, index, escaped);
  }
  if (script[index] === "$") {
    const tag = /^\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/.exec(script.slice(index))?.[0];
    if (tag !== undefined) return indexAfter(script, tag, index + tag.length);
  }
  return index;
}

function indexAfter(script: string, wanted: string, from: number): number {
  const found = script.indexOf(wanted, from);
  return found === -1 ? script.length : found + wanted.length;
}

function afterString(script: string, start: number, escaped: boolean): number {
  for (let index = start + 1; index < script.length; index++) {
    if (escaped && script[index] === "\\") index++;
    else if (script[index] === "'") return index + 1;
  }
  return script.length;
}

function afterBlockComment(script: string, start: number): number {
  let depth = 0;
  for (let index = start; index < script.length; index++) {
    const two = script.slice(index, index + 2);
    if (two === "/*") depth++;
    else if (two === "*/" && --depth === 0) return index + 2;
    else continue;
    index++;
  }
  return script.length;
}

function wordAt(script: string, index: number): string {
  return /^[A-Za-z_][\w$]*/.exec(script.slice(index, index + 128))?.[0] ?? "";
}

/** How deep in `begin atomic … end` (a SQL function's body) the script is after this word. */
function depthAfter(
  script: string,
  statementStart: number,
  index: number,
  word: string,
  depth: number,
): number {
  if (word === "atomic" && /\bbegin\s+$/i.test(script.slice(statementStart, index))) return 1;
  if (depth > 0 && word === "case") return depth + 1;
  if (depth > 0 && word === "end") return depth - 1;
  return depth;
}
