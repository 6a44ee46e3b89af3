import { OperatorError } from "../errors.ts";

/** The user and group to run Postgres as; empty for the present one. */
export interface ClusterOwner {
  readonly uid?: number;
  readonly gid?: number;
}

/** Postgres refuses to run as root: then it runs as the user postgres, else as nobody. */
export async function clusterOwner(): Promise<ClusterOwner> {
  if (Deno.uid() !== 0) return {};
  for (const user of ["postgres", "nobody"]) {
    const [uid, gid] = [await idOf("-u", user), await idOf("-g", user)];
    if (uid !== undefined && gid !== undefined) return { uid, gid };
  }
  throw new OperatorError(
    "Cannot run Postgres as root, and there is no user postgres. Create one, or start as another user.",
  );
}

async function idOf(flag: "-u" | "-g", user: string): Promise<number | undefined> {
  const answer = await new Deno.Command("id", { args: [flag, user], stderr: "null" }).output();
  return answer.success ? Number(new TextDecoder().decode(answer.stdout)) : undefined;
}
