import { fileURLToPath } from "node:url";

/** Absolute paths of the project and of the stack's files. */
export interface ProjectPaths {
  readonly root: string;
  /** The functions' import map. */
  readonly config: string;
  readonly functions: string;
  readonly migrations: string;
  /** The source of the database; the migrations follow from it. */
  readonly schemas: string;
  /** The data directory, templates and tools; ignored by git and safe to delete. */
  readonly state: string;
}

/** The paths of the project at `root`; the default is the project of this file. */
export function projectPaths(
  root: string = fileURLToPath(new URL("..", import.meta.url)).replace(/[/\\]$/, ""),
): ProjectPaths {
  return {
    root,
    config: `${root}/deno.json`,
    functions: `${root}/supabase/functions`,
    migrations: `${root}/supabase/migrations`,
    schemas: `${root}/supabase/schemas`,
    state: `${root}/.local`,
  };
}
