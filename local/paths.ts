import { fileURLToPath } from "node:url";

/** Where the project lies and where the stack keeps its own files; all absolute. */
export interface ProjectPaths {
  readonly root: string;
  /** The functions' import map. */
  readonly config: string;
  readonly functions: string;
  readonly migrations: string;
  /** The data directory, templates and tools; ignored by git and safe to delete. */
  readonly state: string;
}

/** The paths of the project at `root`, by default the one that this file belongs to. */
export function projectPaths(
  root: string = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, ""),
): ProjectPaths {
  return {
    root,
    config: `${root}/deno.json`,
    functions: `${root}/supabase/functions`,
    migrations: `${root}/supabase/migrations`,
    state: `${root}/.local`,
  };
}
