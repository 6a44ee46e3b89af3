import { dirname } from "node:path";

/** Files by name under a folder of this machine. */
export interface FileFolder {
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Stores a file as a whole or not at all. */
  write(name: string, content: Uint8Array): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Whether a name stays within its folder: segments of the characters that Storage takes. */
export function isFileName(name: string): boolean {
  return name.length <= 1024 &&
    name.split("/").every((segment) =>
      /^[\w!\-.*'() &$@=;:+,?]+$/.test(segment) && segment !== "." && segment !== ".."
    );
}

/** The files under `folder`, which is made when the first is written. */
export function createFileFolder(folder: string): FileFolder {
  function pathOf(name: string): string {
    if (!isFileName(name)) throw new TypeError(`Cannot use ${JSON.stringify(name)} as a file name`);
    return `${folder}/${name}`;
  }
  return {
    async read(name) {
      try {
        return await Deno.readFile(pathOf(name));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    },
    async write(name, content) {
      const path = pathOf(name);
      await Deno.mkdir(dirname(path), { recursive: true });
      const unfinished = await Deno.makeTempFile({ dir: dirname(path), prefix: ".unfinished-" });
      await Deno.writeFile(unfinished, content);
      await Deno.rename(unfinished, path);
    },
    async remove(name) {
      try {
        await Deno.remove(pathOf(name));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}
