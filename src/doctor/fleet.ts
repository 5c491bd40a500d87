// What `doctor` looks at in the fleet: each agent, its clock, its Ollama, its answer, and who serves the shared inbox.
// Imports the form of a check, the courier's views, protocol, errors.
import { about, type Check, checkClock } from "../base/check.ts";
import { asCourierError, type CourierError } from "../base/errors.ts";
import { type AgentView, describeView } from "../courier/fleet.ts";
import { LEGACY_SERVICE_AGENT, type State } from "../protocol.ts";

/** An answer that takes longer is worth a word: also an idle agent on a network share looks once a second. */
const SLOW_MS = 2_000;

/**
 * Looks at these agents.
 * @param ping how long one takes to answer, in ms; rejects when it does not
 */
export async function* examineFleet(
  views: readonly AgentView[],
  ping: (agent: string) => Promise<number>,
): AsyncGenerator<Check> {
  if (views.length === 0) {
    yield about("agent").warning("None has published its state here", "Start gpu-agent on a box that sees this share");
    return;
  }
  // They are asked while the rest is told.
  const pings = pingAll(views, ping);
  for (const view of views) {
    yield checkAgent(view);
    const { agent, state, online } = view;
    if (state === null || !online) continue;
    yield checkClock(agent, state.clock_offset_ms);
    yield checkOllama(agent, state);
  }
  yield checkSharedInbox(views);
  yield* await pings;
}

function checkAgent(view: AgentView): Check {
  const { agent, online, reason, state } = view;
  const check = about("agent", agent);
  const text = sentence(describeView(view));
  if (state === null) {
    if (online) return check.ok("A legacy service: it lists, pulls and deletes, and shows no progress");
    return check.warning(
      `A legacy service, ${describeView(view)}`,
      "If it was replaced, remove its state, gpu_status.json",
    );
  }
  if (reason === "stopped") return check.warning(text, "Start gpu-agent on its box");
  if (reason === "silent")
    return check.failed(text, "Is the box up, is the share mounted there? Gone for good: remove its state and inbox");
  if (reason === "degraded") {
    const [readingOnly, twoBoxes] = ["On its box: gpu-agent doctor", "Give one of the two another --name"];
    return check.failed(text, state.reading_only === true ? readingOnly : twoBoxes);
  }
  if (reason === "draining") return check.warning("It was told to stop a moment ago", "Wait");
  const age = (view.silentMs / 1000).toFixed(0);
  return check.ok(`Online: gpu-agent ${state.agent_version}, state published ${age} s ago`);
}

function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

function checkOllama(agent: string, { ollama: { reachable, version, error, checked_at } }: State): Check {
  const check = about("ollama", agent);
  if (checked_at === null) return check.warning("Not asked yet", "Look again in a moment");
  if (reachable) return check.ok(`Ollama ${version ?? "of unknown version"}`);
  return check.failed(error ?? "Not reachable", "On the box: systemctl status ollama; or --ollama is wrong");
}

function checkSharedInbox(views: readonly AgentView[]): Check {
  const check = about("shared_inbox");
  const live = views.filter(({ online }) => online);
  if (live.some(({ agent }) => agent === LEGACY_SERVICE_AGENT)) return check.ok("The legacy service serves it");
  const serving = live.filter(({ state }) => state?.serves_shared_inbox === true).map(({ agent }) => agent);
  const [first, second] = serving;
  if (second !== undefined)
    return check.warning(`${serving.join(" and ")} serve it`, "It may be changing hands: look again in a moment");
  if (first !== undefined) return check.ok(`${first} serves it`);
  const hint = "Start an agent, not with --shared-inbox off";
  return check.warning("Nobody serves it: a legacy backend gets no answer", hint);
}

type Answer =
  | { readonly agent: string; readonly rttMs: number }
  | { readonly agent: string; readonly error: CourierError };

/** The way there and back: an answer says that this machine and the box see each other's files. */
async function pingAll(views: readonly AgentView[], ping: (agent: string) => Promise<number>): Promise<Check[]> {
  const asked = views.filter(({ online, state }) => online && state !== null);
  const answers = await Promise.all(
    asked.map(async ({ agent }): Promise<Answer> => {
      try {
        return { agent, rttMs: await ping(agent) };
      } catch (error) {
        return { agent, error: asCourierError(error) };
      }
    }),
  );
  const errors = answers.flatMap((answer) => ("error" in answer ? [answer.error] : []));
  const [first] = errors;
  // What keeps this machine from asking anybody is told once.
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
    const { code, message, hint } = answer.error;
    const seen = "One of the two does not see the other's files: doctor on both, and the agent's log";
    return check.failed(message, code === "deadline_exceeded" ? seen : hint);
  }
  const { rttMs } = answer;
  const message = `Each sees the other's files: ${rttMs.toFixed(rttMs < 10 ? 1 : 0)} ms there and back`;
  if (rttMs < SLOW_MS) return check.ok(message);
  return check.warning(message, "A busy box or file server? gpuctl ping measures it again");
}
