import { messageOf, OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";

/** A program that npm carries as one package per platform. */
export interface Tool {
  readonly name: string;
  readonly version: string;
  /** The package of this platform. */
  readonly package: string;
  /** The program's path inside the package. */
  readonly program: string;
}

/** The Supabase CLI, pinned. */
export const supabaseCli: Tool = {
  name: "supabase",
  version: "3.1.0",
  package: `@supabase/cli-${platform("windows")}`,
  program: `bin/supabase${Deno.build.os === "windows" ? ".exe" : ""}`,
};

/** Squawk, a linter of migrations, pinned. */
export const squawk: Tool = {
  name: "squawk",
  version: "2.66.0",
  package: `@squawk-cli/${platform("win32")}`,
  program: `bin/squawk${Deno.build.os === "windows" ? ".exe" : ""}`,
};

/**
 * The path of the program, installed below `.local/tools` at first use. The platform's package is
 * installed by itself: the package that stands in front of it needs Node, and lists the packages
 * of all platforms, which Deno wants to find in the registry even where they are optional.
 */
export async function installTool(tool: Tool, paths: ProjectPaths): Promise<string> {
  const folder = `${paths.state}/tools/${tool.name}-${tool.version}`;
  const program = `${folder}/node_modules/${tool.package}/${tool.program}`;
  if (await Deno.stat(program).then((file) => file.isFile, () => false)) return program;
  await Deno.mkdir(folder, { recursive: true });
  await Deno.writeTextFile(
    `${folder}/deno.json`,
    JSON.stringify({
      nodeModulesDir: "auto",
      imports: { [tool.name]: `npm:${tool.package}@${tool.version}` },
    }),
  );
  const installed = await new Deno.Command(Deno.execPath(), {
    args: ["install", "--quiet"],
    cwd: folder,
    stdin: "null",
  }).output();
  if (!installed.success) {
    const words = new TextDecoder().decode(installed.stderr).trim();
    throw new OperatorError(`Cannot install ${tool.package}@${tool.version}:\n${words}`);
  }
  return program;
}

/** What a program said and how it ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without a terminal and without telemetry. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly signal?: AbortSignal },
): Promise<Ran> {
  try {
    const ran = await new Deno.Command(program, {
      args: [...args],
      cwd: options.cwd,
      env: {
        DO_NOT_TRACK: "1",
        SUPABASE_TELEMETRY_DISABLED: "1",
        PGSSLMODE: "disable",
        NO_COLOR: "1",
      },
      stdin: "null",
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    }).output();
    const decoder = new TextDecoder();
    return {
      code: ran.code,
      stdout: decoder.decode(ran.stdout),
      stderr: decoder.decode(ran.stderr),
    };
  } catch (error) {
    throw new OperatorError(`Cannot run ${program}: ${messageOf(error)}`, { cause: error });
  }
}

function platform(windows: string): string {
  const os = Deno.build.os === "windows" ? windows : Deno.build.os;
  return `${os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`;
}
