import assert from "node:assert/strict";
import { parseArguments, UsageError } from "./arguments.ts";

const known = ["apply", "import"];

Deno.test("parseArguments() reads names and options in any order", () => {
  assert.deepEqual(
    parseArguments(["--rounds", "5", "apply", "--json", "--against", "../base", "apply"], known),
    {
      names: ["apply"],
      json: true,
      help: false,
      strict: false,
      inTurns: false,
      rounds: 5,
      against: "../base",
    },
  );
});

Deno.test("parseArguments() takes the last of two values, so that a task's own can be changed", () => {
  assert.equal(parseArguments(["--count", "100000", "--count=500"], known).count, 500);
});

for (
  const [args, message] of [
    [["webhook"], 'There is no benchmark "webhook". Known: apply, import.'],
    [["--speed"], "Unknown option '--speed'."],
    [["--rounds", "0"], '--rounds takes a whole number from 1 to 9999999, not "0".'],
    [["--count", "1e3"], '--count takes a whole number from 1 to 9999999, not "1e3".'],
    [["--against", "a", "--project", "b"], "--against and --project exclude each other."],
    [
      ["--against", "a", "--strict"],
      "--against and --strict exclude each other: bars are absolute.",
    ],
  ] as const
) {
  Deno.test(`parseArguments() refuses ${args.join(" ")}`, () => {
    assert.throws(() => parseArguments(args, known), new UsageError(message));
  });
}
