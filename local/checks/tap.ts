/** What a TAP stream (Test Anything Protocol) says went wrong; empty if every test passed. */
export function readTap(lines: readonly string[]): readonly string[] {
  const findings: string[] = [];
  let planned: number | undefined;
  let seen = 0;
  let failing = false;
  for (const line of lines.flatMap((text) => text.split("\n"))) {
    const plan = /^1\.\.(\d+)/.exec(line)?.[1];
    const test = /^(not )?ok\b(.*)$/.exec(line);
    if (plan !== undefined) planned = Number(plan);
    if (test !== null) {
      seen++;
      failing = test[1] !== undefined && !/#\s*todo/i.test(line);
      if (failing) findings.push(line);
    } else if (failing && line.startsWith("#")) {
      findings.push(`  ${line}`);
    }
    if (line.startsWith("Bail out!")) findings.push(line);
  }
  if (planned === undefined) findings.push("there is no plan: select plan(n) or no_plan()");
  else if (planned !== seen) findings.push(`planned ${planned} tests but ran ${seen}`);
  return findings;
}
