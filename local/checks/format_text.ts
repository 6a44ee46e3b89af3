import { OperatorError } from "../errors.ts";

/** A text as `deno fmt` leaves it in this project. */
export async function formatText(
  source: string,
  kind: "ts" | "md" | "json",
): Promise<string> {
  const formatter = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--no-config", "--line-width", "100", "--ext", kind, "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = formatter.stdin.getWriter();
  await writer.write(new TextEncoder().encode(source));
  await writer.close();
  const ran = await formatter.output();
  if (!ran.success) throw new OperatorError(new TextDecoder().decode(ran.stderr));
  return new TextDecoder().decode(ran.stdout);
}
