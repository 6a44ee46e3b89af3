import { parseArgs } from "node:util";
import { messageOf } from "../local/errors.ts";

/** What the command line asks for. */
export interface BenchArguments {
  /** Names of benchmarks; none means the quick ones. */
  readonly names: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
  /** A figure that misses its bar fails the run. */
  readonly strict: boolean;
  /** One of two that are compared: waits for its turn before each step. */
  readonly inTurns: boolean;
  readonly rounds?: number;
  readonly count?: number;
  /** Another checkout to compare with. */
  readonly against?: string;
  /** The checkout to measure, if it is not this one. */
  readonly project?: string;
}

/** The command line cannot be understood; the message says why. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads the command line; whatever is unknown or out of range is a `UsageError`. */
export function parseArguments(
  args: readonly string[],
  known: readonly string[],
): BenchArguments {
  const { values, positionals } = parse(args);
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`There is no benchmark "${unknown}". Known: ${known.join(", ")}.`);
  }
  if (values.against !== undefined && values.project !== undefined) {
    throw new UsageError("--against and --project exclude each other.");
  }
  if (values.against !== undefined && values.strict) {
    throw new UsageError("--against and --strict exclude each other: bars are absolute.");
  }
  const rounds = positive("--rounds", values.rounds);
  const count = positive("--count", values.count);
  return {
    names: [...new Set(positionals)],
    json: values.json ?? false,
    help: values.help ?? false,
    strict: values.strict ?? false,
    inTurns: values["in-turns"] ?? false,
    ...(rounds === undefined ? {} : { rounds }),
    ...(count === undefined ? {} : { count }),
    ...(values.against === undefined ? {} : { against: values.against }),
    ...(values.project === undefined ? {} : { project: values.project }),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        strict: { type: "boolean" },
        help: { type: "boolean", short: "h" },
        "in-turns": { type: "boolean" },
        rounds: { type: "string" },
        count: { type: "string" },
        against: { type: "string" },
        project: { type: "string" },
      },
    });
  } catch (error) {
    // The first sentence says what is wrong, the rest how to pass such a word all the same.
    throw new UsageError(messageOf(error).replace(/\. .*$/s, "."));
  }
}

function positive(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,6}$/.test(text)) {
    throw new UsageError(`${option} takes a whole number from 1 to 9999999, not "${text}".`);
  }
  return Number(text);
}
