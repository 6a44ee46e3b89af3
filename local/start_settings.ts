import { chosenVariables } from "./environment.ts";
import { OperatorError } from "./errors.ts";

/** What `start` takes from the environment. */
export interface StartSettings {
  readonly port: number;
  readonly databaseUrl?: string;
  readonly seedDemo: boolean;
  readonly tick: boolean;
  /** Variables for the functions, over the stack's own. */
  readonly functions: Readonly<Record<string, string>>;
}

/** Reads the settings; a malformed one is an `OperatorError` that names its variable. */
export function startSettings(environment: Readonly<Record<string, string>>): StartSettings {
  const databaseUrl = environment.DATABASE_URL?.trim() ?? "";
  if (databaseUrl !== "" && !/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw new OperatorError("Cannot use DATABASE_URL: it does not begin with postgresql://.");
  }
  return {
    port: port(environment.PORT ?? ""),
    ...(databaseUrl === "" ? {} : { databaseUrl }),
    seedDemo: flag("SEED_DEMO", environment),
    tick: flag("TICK", environment),
    functions: chosenVariables(environment),
  };
}

function port(value: string): number {
  if (value.trim() === "") return 54321;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 65535) {
    throw new OperatorError(`Cannot use PORT: "${value}" is not a port number.`);
  }
  return number;
}

function flag(name: string, environment: Readonly<Record<string, string>>): boolean {
  const value = environment[name]?.trim().toLowerCase() ?? "";
  if (["", "true", "1", "yes", "on"].includes(value)) return true;
  if (["false", "0", "no", "off"].includes(value)) return false;
  throw new OperatorError(`Cannot use ${name}: "${value}" is neither true nor false.`);
}
