// A server on a memory store with a socket, an agent, and anyone who listens to its events. For tests of the events.
import { isoTime } from "#src/base/clock.ts";
import { type Job, newPull } from "#src/protocol.ts";
import { createApi } from "#src/server/api.ts";
import { type Listener, listen } from "#src/server/http/listen.ts";
import { EventListener } from "#tests/support/event_listener.ts";
import { until } from "#tests/support/until.ts";
import { ScriptedAgent } from "./scripted_agent.ts";
import { openServer, type ServerUnderTest } from "./server_fixture.ts";

const TOTAL_BYTES = 9e9;

export class EventSite {
  readonly server: ServerUnderTest;
  readonly agent: ScriptedAgent;
  readonly #socket: Listener;
  readonly #listening: EventListener[] = [];

  /** @param requestMs how long a request may be silent: a connection is cut some seconds later */
  static async open(options: Parameters<typeof openServer>[0] = {}, requestMs = 1000): Promise<EventSite> {
    const server = await openServer(options);
    const socket = listen({ host: "127.0.0.1", port: 0 }, createApi(server.services).fetch, requestMs);
    return new EventSite(server, socket, await ScriptedAgent.open(server.store, "gpu-1"));
  }

  private constructor(server: ServerUnderTest, socket: Listener, agent: ScriptedAgent) {
    this.server = server;
    this.agent = agent;
    this.#socket = socket;
  }

  get url(): string {
    return this.#socket.url;
  }

  /** The jobs that gpu-1 publishes from now on. */
  async publish(...jobs: readonly Job[]): Promise<void> {
    this.agent.jobs = [...jobs];
    await this.agent.publish();
  }

  async listenTo(path?: string): Promise<EventListener> {
    const events = new EventListener();
    this.#listening.push(events);
    await this.comeBack(events, path);
    if (events.status === 200) await until(() => events.events.length > 0);
    return events;
  }

  async comeBack(events: EventListener, path = "/v1/events"): Promise<void> {
    await events.connect(`${this.url}${path}`, this.server.gp);
  }

  async close(): Promise<void> {
    await Promise.all(this.#listening.map(async (events) => await events.cut()));
    await this.#socket.close(0);
    await this.server[Symbol.asyncDispose]();
  }
}

/** A queued pull on gpu-1. */
export function job(number: number, change: Partial<Job> = {}): Job {
  return { ...newPull(`job-${number}`, "gpu-1", "phi4:latest"), total_bytes: TOTAL_BYTES, ...change };
}

/** One that ended just now. */
export function ended(number: number, change: Partial<Job> = {}): Job {
  return job(number, { state: "succeeded", completed_bytes: TOTAL_BYTES, ended_at: isoTime(Date.now()), ...change });
}
