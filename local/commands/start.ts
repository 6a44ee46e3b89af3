import { startPsqlSocket } from "../database/psql_socket.ts";
import { withoutPassword } from "../database/open_postgres.ts";
import { readEnvFile } from "../environment.ts";
import { messageOf } from "../errors.ts";
import { projectPaths } from "../paths.ts";
import { demoOrganizationId, seedDemo } from "../seed_demo.ts";
import { startStack } from "../stack.ts";
import { startBanner } from "../start_banner.ts";
import { startSettings } from "../start_settings.ts";

/** `start`: runs the whole stack until SIGINT or SIGTERM, then returns 0. */
export async function run(): Promise<number> {
  const paths = projectPaths();
  const settings = startSettings({
    ...await readEnvFile(`${paths.root}/.env`),
    ...Deno.env.toObject(),
  });
  const stopped = untilStopped();
  const stack = await startStack({
    paths,
    port: settings.port,
    ...(settings.databaseUrl === undefined ? {} : { databaseUrl: settings.databaseUrl }),
    inMemory: false,
    studio: true,
    ...(settings.seedDemo ? { seed: seedDemo } : {}),
    environment: settings.functions,
    ticker: settings.tick ? {} : false,
    log: (name, line) => console.log(`[${name}] ${line}`),
  });
  try {
    const port = Number(new URL(stack.url).port) + 1;
    const socket = await startPsqlSocket(stack.database, port).catch((error) => {
      console.log(`[start] no psql on port ${port}: ${messageOf(error)}`);
      return undefined;
    });
    const psqlUrl = settings.databaseUrl === undefined
      ? socket?.url
      : withoutPassword(settings.databaseUrl);
    console.log(startBanner(stack, {
      ...(settings.seedDemo ? { organizationId: demoOrganizationId } : {}),
      ...(psqlUrl === undefined ? {} : { psqlUrl }),
      seconds: performance.now() / 1000,
    }));
    await stopped;
    console.log("stopping");
    await socket?.stop();
  } finally {
    await stack.stop();
  }
  return 0;
}

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  let asked = false;
  return new Promise((resolve) => {
    function stop(): void {
      if (asked) Deno.exit(130);
      asked = true;
      resolve();
    }
    Deno.addSignalListener("SIGINT", stop);
    if (Deno.build.os !== "windows") Deno.addSignalListener("SIGTERM", stop);
  });
}
