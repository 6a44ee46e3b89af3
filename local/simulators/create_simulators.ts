import { type ControlClient, createControlClient } from "./control_client.ts";
import type { EventflowSeed } from "./eventflow/seed.ts";
import { createEventflowSimulator } from "./eventflow/simulator.ts";
import type { HeadoutSeed } from "./headout/seed.ts";
import { createHeadoutSimulator } from "./headout/simulator.ts";
import type { Simulator } from "./simulator.ts";

/** How the simulators of a stack begin. */
export interface SimulatorsOptions {
  /** The stack's base URL. */
  readonly url: string;
  /** The functions' variables: both sides must use the same credentials. */
  readonly environment: Readonly<Record<string, string>>;
  /** `flags`: the completeness flags that EventFlow sends; none, if it is absent. */
  readonly eventflow?: Partial<EventflowSeed> & { readonly flags?: boolean };
  readonly headout?: Partial<HeadoutSeed> & { readonly retryScale?: number };
  readonly now?: () => number;
  readonly signal: AbortSignal;
}

/** Both simulators, and clients that control them from this process. */
export interface Simulators {
  readonly handlers: Readonly<Record<"eventflow" | "headout", Simulator>>;
  readonly eventflow: ControlClient;
  readonly headout: ControlClient;
}

/** EventFlow and Headout under `/simulators/`; they send webhooks to the stack's functions. */
export function createSimulators(options: SimulatorsOptions): Simulators {
  const { url, environment, signal } = options;
  const mounts = { eventflow: "/simulators/eventflow", headout: "/simulators/headout" } as const;
  const shared = { signal, ...(options.now === undefined ? {} : { now: options.now }) };
  const { retryScale, ...headoutSeed } = options.headout ?? {};
  const { flags, ...eventflowSeed } = options.eventflow ?? {};
  const handlers = {
    eventflow: createEventflowSimulator({
      ...shared,
      mount: mounts.eventflow,
      apiKey: environment.EVENTFLOW_API_KEY ?? "",
      webhookUrl: `${url}/functions/v1/receive-booking`,
      webhookKey: environment.WEBHOOK_SECRET ?? "",
      seed: eventflowSeed,
      ...(flags === undefined ? {} : { flags }),
    }),
    headout: createHeadoutSimulator({
      ...shared,
      mount: mounts.headout,
      apiKey: environment.HEADOUT_API_KEY ?? "",
      webhookUrl: `${url}/functions/v1/headout-webhook`,
      webhookKey: environment.HEADOUT_WEBHOOK_KEY ?? "",
      seed: headoutSeed,
      ...(retryScale === undefined ? {} : { retryScale }),
    }),
  };
  return {
    handlers,
    eventflow: createControlClient(handlers.eventflow, mounts.eventflow),
    headout: createControlClient(handlers.headout, mounts.headout),
  };
}
