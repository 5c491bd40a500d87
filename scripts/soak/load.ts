// The load of a soak: 50 commands a second, through gpu-server, addressed to the agent, and as a legacy backend sends them.

import { LegacyBackend } from "#sim/legacy/backend.ts";
import { CourierError } from "#src/base/errors.ts";
import type { Courier } from "#src/courier.ts";

export interface LoadOptions {
  readonly courier: Courier;
  readonly serverUrl: string;
  readonly token: string;
  /** The shared folder; null on NATS, where nobody is of version 1. */
  readonly share: string | null;
  readonly agent: string;
  /** Its pull is under way for as long as the soak takes: who asks for it joins. */
  readonly pulling: string;
}

/** One kind of command, and how it went. */
export interface Kind {
  readonly name: string;
  readonly perSecond: number;
  /** False: it is left out this time. */
  readonly isDue: () => boolean;
  /** @throws Error when the answer is not the one that is due */
  readonly send: () => Promise<void>;
  sent: number;
  answered: number;
  /** The first answer that was none, or another than was due. */
  failure: string | null;
}

const ABSENT = "nothing:here";

/** The commands, 50 a second in total; on NATS 48. */
export function kindsOf(options: LoadOptions): readonly Kind[] {
  const { courier, agent, pulling, share } = options;
  const path = `/v1/agents/${agent}/models/${encodeURIComponent(ABSENT)}`;
  const backend = share === null ? null : new LegacyBackend(share);
  const kind = (name: string, perSecond: number, send: () => Promise<unknown>, isDue = () => true): Kind => ({
    name,
    perSecond,
    isDue,
    send: async () => void (await send()),
    sent: 0,
    answered: 0,
    failure: null,
  });
  return [
    kind("ping", 18, async () => await courier.ping(agent)),
    kind("list", 4, async () => await courier.listModels([agent], { fresh: true })),
    kind("delete of nothing", 3, async () => await notFound(courier.deleteModel(agent, ABSENT))),
    kind("pull, joined", 3, async () => await courier.pullModel(agent, pulling)),
    kind("list over HTTP", 10, async () => await call(options, "GET", "/api/config/models?fresh=true", 200)),
    kind("delete of nothing over HTTP", 5, async () => await call(options, "DELETE", path, 404)),
    kind("pull over HTTP, joined", 5, async () => {
      await call(options, "POST", "/v1/jobs", 202, { kind: "pull", model: pulling, agents: [agent] });
    }),
    ...(backend === null
      ? []
      : [
          kind("old list", 1, async () => await listAsOld(backend), oncePerSecond()),
          // Nobody waits for the answer: it is found on the share in the end.
          kind("old delete", 1, async () => void backend.deleteModel(ABSENT), oncePerSecond()),
        ]),
  ];
}

/** An old id is per second: where this process had to wait, a second one would take over the first one's files. */
function oncePerSecond(): () => boolean {
  let last = 0;
  return () => {
    const second = Math.floor(Date.now() / 1000);
    if (second === last) return false;
    last = second;
    return true;
  };
}

async function listAsOld(backend: LegacyBackend): Promise<void> {
  const { reason, models } = await backend.listModels();
  if (reason !== "answered" || models.length === 0) throw new Error(`a legacy backend's list was ${reason}`);
}

/**
 * Sends each kind at its rate, whether the one before was answered or not. Resolves when all are answered.
 * @param times so many times the rate
 */
export async function sendFor(kinds: readonly Kind[], seconds: number, times = 1): Promise<void> {
  const pending = new Set<Promise<void>>();
  const schedule = kinds.flatMap((kind) => {
    const count = kind.perSecond * times;
    return Array.from({ length: count }, (_, index) => ({ kind, atMs: ((index + 0.5) * 1000) / count }));
  });
  const inOrder = schedule.toSorted((a, b) => a.atMs - b.atMs);
  // From a whole second on: an old id is per second.
  const startedMs = Math.ceil(Date.now() / 1000) * 1000;
  for (let second = 0; second < seconds; second++) {
    for (const { kind, atMs } of inOrder) {
      await Bun.sleep(Math.max(0, startedMs + second * 1000 + atMs - Date.now()));
      if (!kind.isDue()) continue;
      const sending = sendOne(kind).finally(() => pending.delete(sending));
      pending.add(sending);
    }
  }
  await Promise.all(pending);
}

async function sendOne(kind: Kind): Promise<void> {
  kind.sent += 1;
  try {
    await kind.send();
    kind.answered += 1;
  } catch (error) {
    kind.failure ??= error instanceof Error ? error.message : String(error);
  }
}

async function notFound(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (error instanceof CourierError && error.code === "not_found") return;
    throw error;
  }
  throw new Error("What was not there was deleted");
}

async function call(
  { serverUrl, token }: LoadOptions,
  method: string,
  path: string,
  status: number,
  body?: object,
): Promise<void> {
  const response = await fetch(`${serverUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.status !== status) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 200)}`);
}
