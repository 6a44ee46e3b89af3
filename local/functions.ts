import { freePort } from "./free_port.ts";
import { type FunctionProcess, startFunctionProcess } from "./function_process.ts";
import type { ProjectPaths } from "./paths.ts";

/** The functions of the project, by the name in their URL. */
export const functionNames = ["receive-booking", "headout-webhook", "import-bookings"] as const;

/** One of the functions. */
export type FunctionName = typeof functionNames[number];

/** How to run all functions. */
export interface FunctionsOptions {
  readonly paths: ProjectPaths;
  /** The functions' variables; their URLs are the hosts that the functions may call. */
  readonly environment: Readonly<Record<string, string>>;
  readonly log: (name: string, line: string) => void;
}

/** The running functions. */
export interface Functions {
  get(name: string): FunctionProcess | undefined;
  readonly all: readonly FunctionProcess[];
  stop(): Promise<void>;
}

/** Starts all functions and waits until they answer. If one cannot start, the rest is stopped. */
export async function startFunctions(options: FunctionsOptions): Promise<Functions> {
  const frozen = await Deno.stat(`${options.paths.root}/deno.lock`).then(() => true, () => false);
  const starts = await Promise.allSettled(functionNames.map((name) =>
    startFunctionProcess({
      name,
      arguments: functionArguments(options.paths, name, options.environment, frozen),
      environment: options.environment,
      workingDirectory: options.paths.root,
      port: freePort(),
      log: (line) => options.log(name, line),
      notice: (line) => options.log("start", line),
    })
  ));
  const all = starts.flatMap((start) => start.status === "fulfilled" ? [start.value] : []);
  async function stop(): Promise<void> {
    await Promise.all(all.map((process) => process.stop()));
  }
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  return { all, get: (name) => all.find((process) => process.name === name), stop };
}

/**
 * The command line of one function. It may use the environment and the network of this machine and
 * of the configured sources, and has the heap of the hosted platform (256 MB).
 */
export function functionArguments(
  paths: ProjectPaths,
  name: string,
  environment: Readonly<Record<string, string>>,
  frozen: boolean,
): readonly string[] {
  return [
    "run",
    "--no-prompt",
    "--quiet",
    "--config",
    paths.config,
    ...(frozen ? ["--frozen"] : []),
    `--allow-net=${allowedHosts(environment).join(",")}`,
    "--allow-env",
    "--v8-flags=--max-old-space-size=256",
    `${paths.functions}/${name}/index.ts`,
  ];
}

function allowedHosts(environment: Readonly<Record<string, string>>): readonly string[] {
  const hosts = new Set(["127.0.0.1", "localhost"]);
  for (
    const name of ["SUPABASE_URL", "EVENTFLOW_API_URL", "HEADOUT_API_URL", "HEADOUT_JWKS_URL"]
  ) {
    const value = environment[name]?.trim() ?? "";
    if (URL.canParse(value)) hosts.add(new URL(value).hostname);
  }
  return [...hosts].filter((host) => host !== "");
}
