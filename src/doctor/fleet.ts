// The doctor's checks of the fleet: each agent, its clock, its Ollama, a round trip, and the shared inbox.
import { about, type Check } from "../base/check.ts";
import { checkClock } from "../base/clock_check.ts";
import { asCourierError, type CourierError } from "../base/errors.ts";
import type { AgentView } from "../courier/agent_view.ts";
import { describeView, hasDocument } from "../courier/describe_view.ts";
import { LEGACY_SERVICE_AGENT, LIMITS, type State } from "../protocol.ts";

/** A slower round trip is a warning: even an idle agent on a network share looks once a second. */
const SLOW_MS = 2_000;

export interface FleetProbe {
  /** Resolves with the round trip to an agent, in ms; rejects when it does not answer. */
  readonly ping: (agent: string) => Promise<number>;
  /** How many answers to an agent's pings did not match and were ignored. */
  readonly ignored: (agent: string) => number;
}

/**
 * Checks these agents.
 * @param all every agent: any of them may serve the shared inbox; null on a transport without one
 */
export async function* examineFleet(
  views: readonly AgentView[],
  all: readonly AgentView[] | null,
  { ping, ignored }: FleetProbe,
): AsyncGenerator<Check> {
  if (views.length === 0) {
    yield about("agent").warning(
      "No agent has published its state on this share",
      "Start gpu-agent on a GPU machine that mounts this share",
    );
    return;
  }
  // They run while the other checks are printed.
  const pings = pingAll(views, ping, ignored);
  // The keys are checked by themselves, and say more.
  for (const view of views.filter(hasDocument)) {
    yield checkAgent(view);
    const { agent, state, online } = view;
    if (state === null || !online) continue;
    yield checkClock(agent, state.clock_offset_ms);
    yield checkOllama(agent, state);
  }
  if (all !== null) yield checkSharedInbox(all);
  yield* await pings;
}

function checkAgent(view: AgentView): Check {
  const { agent, online, reason, state } = view;
  const check = about("agent", agent);
  const text = sentence(describeView(view));
  if (state === null) {
    if (online) return check.ok("Legacy service: it lists, pulls and deletes, without progress");
    return check.warning(`Legacy service, ${describeView(view)}`, `If it was replaced: gpuctl forget ${agent}`);
  }
  if (reason === "stopped") return check.warning(text, `On ${agent}: systemctl start gpu-command-service`);
  if (reason === "silent")
    return check.failed(
      text,
      `Check that the machine is up and mounts the share. If it is gone for good: gpuctl forget ${agent}`,
    );
  if (reason === "degraded") {
    const [readingOnly, sameName] = [`On ${agent}: gpu-agent doctor`, "Give one of the two agents another --name"];
    return check.failed(text, state.reading_only === true ? readingOnly : sameName);
  }
  if (reason === "draining") return check.warning("Stopping", "Wait a moment and run doctor again");
  return checkOnline(check, state, view.silentMs);
}

function checkOnline(check: ReturnType<typeof about>, state: State, silentMs: number): Check {
  const waiting = state.waiting_commands ?? 0;
  if (waiting > 0)
    return check.warning(
      `${waiting} commands stay in its inboxes: it has ${LIMITS.commandsInHand} in hand`,
      "Find the program that fills gpu_commands, and remove the commands that nobody waits for",
    );
  const foreign = state.foreign_states ?? 0;
  if (foreign > 0)
    return check.warning(
      `${foreign} documents under its name were not its own since it started: it serves on`,
      "Find out who writes to gpu_status",
    );
  return check.ok(`Online: gpu-agent ${state.agent_version}, state published ${(silentMs / 1000).toFixed(0)} s ago`);
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function checkOllama(agent: string, { ollama: { reachable, version, error, checked_at } }: State): Check {
  const check = about("ollama", agent);
  if (checked_at === null) return check.warning("Not checked yet", "Wait a moment and run doctor again");
  if (reachable) return check.ok(`Ollama ${version ?? "of an unknown version"}`);
  return check.failed(error ?? "Not reachable", `On ${agent}: systemctl status ollama, and check the agent's --ollama`);
}

function checkSharedInbox(views: readonly AgentView[]): Check {
  const check = about("shared_inbox");
  const live = views.filter(({ online }) => online);
  const isLegacyServiceAlive = live.some(({ agent }) => agent === LEGACY_SERVICE_AGENT);
  const on = live.filter(({ state }) => state?.shared_inbox === "on");
  if (isLegacyServiceAlive && on.length > 0) return contradicted(check, on);
  if (isLegacyServiceAlive) return check.ok("The legacy service serves it");
  const serving = live.filter(({ state }) => state?.serves_shared_inbox === true).map(({ agent }) => agent);
  const [first, second] = serving;
  if (second !== undefined)
    return check.warning(
      `${serving.join(" and ")} serve it`,
      "It may be moving from one to the other: wait a moment and run doctor again",
    );
  if (first !== undefined) return check.ok(`${first} serves it`);
  const hint = "Start an agent without --shared-inbox off";
  return check.warning("No agent serves it: legacy backends get no answer", hint);
}

/** Either a legacy service runs after all, and both run pulls; or somebody forges its state document. */
function contradicted(check: ReturnType<typeof about>, on: readonly AgentView[]): Check {
  const modes = on.map(({ agent, state }) => `${agent} has ${state?.shared_inbox_only === true ? "only" : "on"}`);
  const found = `gpu_status.json changes, but by --shared-inbox no legacy service answers here: ${modes.join(", ")}`;
  const hint =
    "If a legacy service runs, stop it, or set --shared-inbox auto. Otherwise find out who writes gpu_status.json";
  return check.failed(found, hint);
}

type Answer =
  | { readonly agent: string; readonly rttMs: number; readonly ignored: number }
  | { readonly agent: string; readonly error: CourierError };

/** A round trip shows that this machine and the agent's see each other's files. */
async function pingAll(
  views: readonly AgentView[],
  ping: FleetProbe["ping"],
  ignored: FleetProbe["ignored"],
): Promise<Check[]> {
  const asked = views.filter(({ online, state }) => online && state !== null);
  const answers = await Promise.all(
    asked.map(async ({ agent }): Promise<Answer> => {
      try {
        return { agent, rttMs: await ping(agent), ignored: ignored(agent) };
      } catch (error) {
        return { agent, error: asCourierError(error) };
      }
    }),
  );
  const errors = answers.flatMap((answer) => ("error" in answer ? [answer.error] : []));
  const [first] = errors;
  // The same problem on this machine's side would otherwise appear once per agent.
  if (
    first !== undefined &&
    answers.length > 1 &&
    errors.length === answers.length &&
    first.code !== "deadline_exceeded"
  )
    return [about("ping").failedBy(first)];
  return answers.map(checkAnswer);
}

function checkAnswer(answer: Answer): Check {
  const check = about("ping", answer.agent);
  if ("error" in answer) {
    const { code } = answer.error;
    const { message, hint } = answer.error.spoken;
    const unseen = "One machine does not see the other's files: run doctor on both, and read the agent's log";
    return check.failed(message, code === "deadline_exceeded" ? unseen : hint);
  }
  const { agent, rttMs, ignored } = answer;
  if (ignored > 0)
    return check.warning(
      `${ignored} ${ignored === 1 ? "answer" : "answers"} did not match the ping, before that of ${agent}`,
      "Another program writes responses: find out which users can write to gpu_status",
    );
  const ms = rttMs.toFixed(rttMs < 10 ? 1 : 0);
  if (rttMs < SLOW_MS) return check.ok(`Round trip OK: ${ms} ms`);
  return check.warning(
    `Slow round trip: ${ms} ms`,
    "The machine or the file server may be busy: measure again with gpuctl ping",
  );
}
