import { messageOf, OperatorError } from "./errors.ts";
import { readLines } from "./read_lines.ts";

/** How to run one function. */
export interface FunctionProcessOptions {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly port: number;
  /** One line of the function's output, as it wrote it. */
  readonly log: (line: string) => void;
  /** One line about the process itself: it ended, it is being restarted. */
  readonly notice: (line: string) => void;
}

/** A function in a separate process, restarted whenever it dies. */
export interface FunctionProcess {
  readonly name: string;
  readonly port: number;
  /** The URL that it answers. */
  readonly url: string;
  /** The process id, undefined while there is none. */
  pid(): number | undefined;
  /** Whether it answers requests: false from its end until the next process listens. */
  ready(): boolean;
  /** Sends a signal to the current process. If that ends it, it is restarted as always. */
  kill(signal?: Deno.Signal): void;
  /** Ends the current process and waits until the next one answers. */
  restart(): Promise<void>;
  /** SIGTERM, then SIGKILL after 3 s; it is not restarted. */
  stop(): Promise<void>;
}

const startLimit = 60_000;
const stopLimit = 3_000;
const longestPause = 5_000;

/**
 * Starts a function and waits until it answers. If it ends before that, the error has its last
 * output, which names a malformed variable. After that it is restarted whenever it ends: at once,
 * then after pauses that double up to 5 s as long as it keeps ending early.
 */
export async function startFunctionProcess(
  options: FunctionProcessOptions,
): Promise<FunctionProcess> {
  const url = `http://127.0.0.1:${options.port}`;
  let child: Deno.ChildProcess | undefined;
  let ready = false;
  let stopping = false;
  let lastWords: string[] = [];
  let wakeUp = () => {};

  function spawn(): Deno.ChildProcess {
    lastWords = [];
    const started = new Deno.Command(Deno.execPath(), {
      args: [...options.arguments],
      cwd: options.workingDirectory,
      env: { ...options.environment, DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${options.port}` },
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    function hear(line: string): void {
      lastWords = [...lastWords.slice(-19), line];
      options.log(line);
    }
    const outputs = [readLines(started.stdout, hear), readLines(started.stderr, hear)];
    void Promise.all(outputs).catch((error) => options.notice(messageOf(error)));
    return started;
  }

  async function untilReady(process: Deno.ChildProcess): Promise<boolean> {
    let ended = false;
    void process.status.then(() => ended = true);
    const deadline = Date.now() + startLimit;
    while (!ended && !stopping && Date.now() < deadline) {
      if (await answers(url)) return !ended;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return false;
  }

  /** Ends early when the function is to be stopped. */
  function pauseFor(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wakeUp = () => (clearTimeout(timer), resolve());
    });
  }

  async function keep(): Promise<void> {
    let pause = 0;
    while (!stopping) {
      const since = Date.now();
      const status = await child?.status;
      ready = false;
      // Ctrl+C reaches the whole terminal group: we are about to be stopped, so do not restart.
      if (status?.signal === "SIGINT") await pauseFor(300);
      if (stopping) return;
      if (Date.now() - since > 10_000) pause = 0;
      options.notice(
        `${options.name} has ended; restarting it${pause ? ` in ${pause} ms` : ""}`,
      );
      await pauseFor(pause);
      if (stopping) return;
      pause = Math.min(longestPause, pause === 0 ? 250 : pause * 2);
      child = spawn();
      ready = await untilReady(child);
    }
  }

  child = spawn();
  ready = await untilReady(child);
  if (!ready) {
    const words = lastWords.join("\n  ");
    await end(child);
    throw new OperatorError(`Cannot start the function ${options.name}:\n  ${words}`);
  }
  const kept = keep();

  return {
    name: options.name,
    port: options.port,
    url,
    pid: () => ready ? child?.pid : undefined,
    ready: () => ready,
    kill(signal = "SIGKILL"): void {
      signalProcess(child, signal);
    },
    async restart(): Promise<void> {
      const before = child;
      signalProcess(before, "SIGTERM");
      const deadline = Date.now() + startLimit;
      while (child === before || !ready) {
        if (Date.now() > deadline) throw new OperatorError(`${options.name} did not come back.`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async stop(): Promise<void> {
      stopping = true;
      wakeUp();
      if (child !== undefined) await end(child);
      await kept;
    },
  };
}

async function end(child: Deno.ChildProcess): Promise<void> {
  signalProcess(child, "SIGTERM");
  const timer = setTimeout(() => signalProcess(child, "SIGKILL"), stopLimit);
  await child.status;
  clearTimeout(timer);
}

function signalProcess(child: Deno.ChildProcess | undefined, signal: Deno.Signal): void {
  try {
    child?.kill(signal);
  } catch {
    // It has already ended.
  }
}

/** Whether a server listens there, whatever it answers. */
async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { method: "OPTIONS", signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}
