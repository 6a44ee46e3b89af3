import { ConfigError } from "../errors.ts";
import { type VariableName, VARIABLES, type VariableValue } from "./variables.ts";

/** The environment as data: what `readEnvironment` reads, or a test's literal. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Reads variables by name and collects what is wrong with them. */
export interface ConfigReader {
  readonly has: (name: VariableName) => boolean;
  /** The value; undefined if it is missing or malformed. Malformed is a problem. */
  readonly take: <N extends VariableName>(name: N) => VariableValue<N> | undefined;
  /** Like `take`, and a missing value is a problem. */
  readonly need: <N extends VariableName>(name: N) => VariableValue<N>;
  /** Adds the problem that none of `names` is set, unless one of them was malformed. */
  readonly missOneOf: (names: readonly VariableName[]) => void;
  readonly warn: (warning: string) => void;
  /** Returns the config with all warnings, or throws one `ConfigError` with all problems. */
  readonly finish: <T>(config: T) => T & { readonly warnings: readonly string[] };
}

/**
 * Makes a reader that collects problems instead of throwing at the first, so that one start shows
 * all of them. Values are trimmed with a warning (incident: white space in a secret). An empty
 * value counts as missing.
 */
export function createReader(functionName: string, env: Environment): ConfigReader {
  const problems = new Map<VariableName, string>();
  const warnings = new Set<string>();
  const textOf = (name: VariableName): string => (env[name] ?? "").trim();

  function take<N extends VariableName>(name: N): VariableValue<N> | undefined {
    const text = textOf(name);
    if (text !== env[name] && text !== "") {
      warnings.add(`${name} had white space around it, which was dropped`);
    }
    if (text === "") return undefined;
    const [schema, expected] = VARIABLES[name];
    const result = schema.safeParse(text);
    if (result.success) return result.data as VariableValue<N>;
    problems.set(name, `malformed; expected ${expected}`);
    return undefined;
  }

  return {
    take,
    has: (name) => textOf(name) !== "",
    need<N extends VariableName>(name: N): VariableValue<N> {
      const value = take(name);
      if (value === undefined && !problems.has(name)) {
        problems.set(name, `missing; expected ${VARIABLES[name][1]}`);
      }
      return value as VariableValue<N>; // finish() throws if it is undefined
    },
    missOneOf(names) {
      if (names.some((name) => problems.has(name))) return;
      problems.set(names[0]!, `missing; set at least one of ${names.join(", ")}`);
    },
    warn: (warning) => void warnings.add(warning),
    finish(config) {
      if (problems.size === 0) return { ...config, warnings: [...warnings] };
      const lines = [...problems].map(([name, problem]) => `  ${name}: ${problem}`);
      throw new ConfigError(
        [
          `Cannot start ${functionName}: its configuration is incomplete or malformed.`,
          ...lines,
          "Set them with `supabase secrets set NAME=value` or in `.env`; `.env.example` explains each.",
        ].join("\n"),
        [...problems.keys()],
      );
    },
  };
}
