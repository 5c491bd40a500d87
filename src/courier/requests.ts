// Sends a command to an agent of either version, and turns a refusal or a timeout into an error with the reason.
import { asCourierError, CourierError } from "../base/errors.ts";
import { type Fetch, LIMITS, type Response, VERBS, type Verb } from "../protocol.ts";
import type { KnownAgents } from "../trust/agents/known_agents.ts";
import { mustBeSigned } from "../trust/requirement.ts";
import type { AgentView } from "./agent_view.ts";
import { describeAgent } from "./describe_view.ts";
import type { FleetReader } from "./fleet.ts";
import type { LastKnown, Mailbox, Request, Waiting } from "./mailbox/mailbox.ts";
import { agentAway, refusal } from "./refusals.ts";
import { findAgent } from "./selection.ts";

export interface RequestOptions {
  readonly timeoutMs?: number | undefined;
  /** How long it waits in all while the agent reports that it is running the command; by default no longer than otherwise. */
  readonly whileRunningMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The person or program that asks, for the agent's record of a pull; otherwise that of the `Courier`. */
  readonly requestedBy?: string | undefined;
}

/** Learns of every changing command to an agent that is known: before anything of it is sent, and how it ended. */
export interface Witness {
  /** There is no such agent, or none can be known: a caller may name any number of them. */
  notSent(reason: CourierError): void;
  /** @returns to be called with the response, which is a success, or with the error */
  begin(agent: string, request: Request): (ended: Response | CourierError) => void;
}

/** Learns for whom a request waits. */
export interface Waits {
  /** @returns to be called when the wait is over */
  begin(agent: string): () => void;
}

/** Also learns the command, and how it ended. */
export interface CommandWaits {
  begin(agent: string, verb: Verb): (result: "success" | "refused" | "unanswered") => void;
}

interface RequestsDeps {
  readonly fleet: FleetReader;
  readonly mailbox: Pick<Mailbox, "request" | "requestVersion1">;
  /** How long a request without a timeout of its own waits, in ms. */
  readonly timeoutMs: number;
  /** The person or program that asks, unless a request names another. */
  readonly requestedBy: string | undefined;
  /** Whether the mailbox signs its commands. */
  readonly signs: boolean;
  readonly keys: Pick<KnownAgents, "failure">;
  readonly witness: Witness | null;
  readonly waits: CommandWaits | null;
  /** Puts a failure in the words for those who ask; by default it stays. */
  readonly reword?: ((failure: CourierError) => CourierError) | undefined;
}

/** A legacy service looks for commands every 5 s. */
const LEGACY_SERVICE_MIN_TIMEOUT_MS = 12_000;

export class Requests {
  readonly #fleet: RequestsDeps["fleet"];
  readonly #mailbox: RequestsDeps["mailbox"];
  readonly #timeoutMs: number;
  readonly #requestedBy: string | undefined;
  readonly #signs: boolean;
  readonly #keys: RequestsDeps["keys"];
  readonly #witness: Witness | null;
  readonly #waits: CommandWaits | null;
  readonly #reword: (failure: CourierError) => CourierError;

  constructor(deps: RequestsDeps) {
    const { fleet, mailbox, timeoutMs, requestedBy, signs, keys, witness, waits, reword = (same) => same } = deps;
    this.#reword = reword;
    this.#fleet = fleet;
    this.#mailbox = mailbox;
    this.#timeoutMs = timeoutMs;
    this.#requestedBy = requestedBy;
    this.#signs = signs;
    this.#keys = keys;
    this.#witness = witness;
    this.#waits = waits;
  }

  /** @see `Courier.request` */
  async send(agent: string, request: Request, options: RequestOptions = {}): Promise<Response> {
    return await this.#witnessed(agent, request, options).catch((error: unknown) => {
      throw this.#reword(asCourierError(error));
    });
  }

  async #witnessed(agent: string, request: Request, options: RequestOptions): Promise<Response> {
    const witness = VERBS[request.verb].changing ? this.#witness : null;
    const view = await this.#find(agent, request).catch((error: unknown) => {
      witness?.notSent(asCourierError(error));
      throw error;
    });
    if (witness === null) return await this.#send(view, request, options);
    const ended = witness.begin(agent, request);
    try {
      const response = await this.#send(view, request, options);
      ended(response);
      return response;
    } catch (error) {
      ended(asCourierError(error));
      throw error;
    }
  }

  async #find(agent: string, { verb }: Request): Promise<AgentView> {
    // Without the known keys, anybody on the share could answer for an agent.
    if (this.#keys.failure !== null && VERBS[verb].changing) throw this.#keys.failure;
    return await findAgent(this.#fleet, agent);
  }

  async #send(view: AgentView, request: Request, options: RequestOptions): Promise<Response> {
    const { agent } = view;
    if (!view.online || refusesEverything(view)) throw agentAway(view);
    if (!this.#signs && mustBeSigned(view.state?.requires_signatures, request.verb)) throw mustSign(view);
    const requestedBy = (options.requestedBy ?? this.#requestedBy)?.slice(0, LIMITS.requesterCharacters);
    const isOver = this.#waits?.begin(agent, request.verb);
    const response = await this.#exchange(
      view,
      { ...request, requestedBy },
      {
        timeoutMs: options.timeoutMs ?? this.#timeoutMs,
        whileRunningMs: options.whileRunningMs,
        signal: options.signal,
        lastKnown: async (id, withdrawn) => await this.#lastKnown(agent, id, withdrawn),
      },
    ).catch((error: unknown) => {
      isOver?.("unanswered");
      throw error;
    });
    isOver?.(response.success ? "success" : "refused");
    if (!response.success) throw refusal(agent, response);
    // The change is made, whether or not the state can be read at this moment.
    if (VERBS[request.verb].changing) await this.#fleet.refresh(agent).catch(() => undefined);
    return response;
  }

  async #exchange({ agent, state }: AgentView, request: Request, waiting: Waiting): Promise<Response> {
    if (state !== null) return await this.#mailbox.request(agent, request, waiting);
    if (VERBS[request.verb].version === 1) {
      const timeoutMs = Math.max(waiting.timeoutMs, LEGACY_SERVICE_MIN_TIMEOUT_MS);
      return await this.#mailbox.requestVersion1(request, { ...waiting, timeoutMs });
    }
    throw new CourierError("unimplemented", `${agent} is a legacy service and does not support ${request.verb}`, {
      hint: "Install gpu-agent on that machine",
    });
  }

  /** Where the command was last seen: an error never says only that time ran out. */
  async #lastKnown(agent: string, id: string, withdrawn: boolean): Promise<LastKnown> {
    let outage = "";
    const view = await this.#freshView(agent).catch((error: unknown) => {
      outage = `${asCourierError(error).message}; `;
      return this.#fleet.lastKnown().find((known) => known.agent === agent);
    });
    const isReporting = outage === "" && view?.online === true;
    const idle = (text: string): LastKnown => ({ text: `${outage}${text}`, isRunning: false, isReporting });
    const seen = withdrawn ? `withdrawn before ${agent} answered` : `could not be withdrawn from ${agent}`;
    if (view === undefined) return idle(`${seen}, which no longer has a state on this share`);
    const running = view.state?.commands.find(({ command_id }) => command_id === id);
    if (running !== undefined)
      return { ...idle(`${agent} has been running it since ${running.started_at}`), isRunning: true };
    if (!view.online) return idle(`${seen}; ${describeAgent(view)}`);
    return idle(`${seen}, which published its state ${(view.silentMs / 1000).toFixed(0)} s ago`);
  }

  async #freshView(agent: string): Promise<AgentView | undefined> {
    await this.#fleet.refresh(agent);
    return await this.#fleet.find(agent);
  }
}

/** Two agents have the same name. An agent that serves only reading verbs refuses the others itself, with its reason. */
function refusesEverything({ reason, state }: AgentView): boolean {
  return reason === "degraded" && state?.reading_only !== true;
}

/** The agent would refuse the command because it is not signed, so nothing was sent. */
function mustSign({ agent }: AgentView): CourierError {
  return new CourierError("forbidden", `${agent} accepts only signed commands, and there is no key to sign with`, {
    hint: `Create one with \`gpuctl key\`, or \`gpu-server key\` for the server. Add its output to the trusted keys of ${agent}`,
  });
}

/** @throws CourierError `internal` for a response without it */
export function fetchOf(agent: string, { fetch }: Response): Fetch {
  if (fetch !== undefined) return fetch;
  throw new CourierError("internal", `${agent} answered without a fetch that can be read`, {
    hint: "Update gpuctl and gpu-server to the version of that agent",
  });
}
