import assert from "node:assert/strict";
import { projectPaths } from "../paths.ts";
import { checkGeneratedFiles, type GeneratedFile, writeGeneratedFiles } from "./generated_files.ts";
import type { SupabaseChecks } from "./supabase_checks.ts";

async function inFolder(work: (database: SupabaseChecks) => Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir();
  try {
    const { signal } = new AbortController();
    await work({ cli: "", url: "", paths: projectPaths(root), signal });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const files: readonly GeneratedFile[] = ["same.txt", "old.txt", "absent.txt"].map((file) => {
  return { file, generate: () => Promise.resolve("new\n") };
});

Deno.test("checkGeneratedFiles() names each file that is out of date, and the one command", async () => {
  await inFolder(async (database) => {
    await Deno.writeTextFile(`${database.paths.root}/same.txt`, "new\n");
    await Deno.writeTextFile(`${database.paths.root}/old.txt`, "old\n");
    assert.deepEqual(await checkGeneratedFiles(database, files), {
      result: "failed",
      findings: [
        "old.txt is out of date: run `deno task write`",
        "absent.txt is out of date: run `deno task write`",
      ],
    });
  });
});

Deno.test("writeGeneratedFiles() writes what is out of date, and then nothing is", async () => {
  await inFolder(async (database) => {
    await Deno.writeTextFile(`${database.paths.root}/same.txt`, "new\n");
    assert.deepEqual(await writeGeneratedFiles(database, files), ["old.txt", "absent.txt"]);
    assert.equal((await checkGeneratedFiles(database, files)).result, "passed");
    assert.deepEqual(await writeGeneratedFiles(database, files), []);
  });
});
