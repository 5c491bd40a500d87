// Runs gpuctl in this process on a memory store, with a clock that the test moves.
import { Writable } from "node:stream";
import { isoTime } from "#src/base/clock.ts";
import type { ClientIo } from "#src/client/io.ts";
import { main } from "#src/client.ts";
import { CommandV1, type Job, type Model } from "#src/protocol.ts";
import { MemoryStore } from "#src/transport/memory.ts";
import type { SigningKey } from "#src/trust/keys.ts";
import { ManualClock, settle } from "#tests/support/clocks/manual_clock.ts";
import { type Answer, ScriptedAgent } from "./scripted_agent.ts";

/** A stream that keeps what was written to it. */
export class Capture extends Writable {
  readonly isTTY: boolean;
  columns: number;
  rows: number;
  text = "";

  constructor(isTerminal: boolean, columns: number, rows = 24) {
    super({ decodeStrings: false });
    this.isTTY = isTerminal;
    this.columns = columns;
    this.rows = rows;
  }

  /** As the stream of a terminal does. */
  resize(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.emit("resize");
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    this.emit("printed", chunk);
    done();
  }
}

export interface Surroundings {
  /** stdout is a terminal. */
  readonly terminal?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  /** The terminal cannot move its cursor. */
  readonly isDumb?: boolean;
  readonly color?: boolean;
  readonly keyFile?: string;
  readonly knownAgentsFile?: string;
  /** What the person at the terminal answers to each question; missing: nobody is there. */
  readonly answer?: string | null;
}

const NO_KEY = "/nonexistent/signing.key";

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A fleet on one store, and gpuctl beside it. */
export class ClientSite {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore(this.clock);
  readonly #agents: ScriptedAgent[] = [];

  async agent(
    name: string,
    options: { models?: readonly Model[]; answer?: Answer; key?: SigningKey } = {},
  ): Promise<ScriptedAgent> {
    const agent = await ScriptedAgent.open(this.store, name, options);
    this.#agents.push(agent);
    return agent;
  }

  async legacyService(answer: object): Promise<void> {
    await answerAsLegacyService(this.store, answer);
  }

  /** Starts gpuctl; `stop` is Ctrl-C. */
  start(argv: readonly string[], surroundings: Surroundings = {}) {
    const { terminal = false, columns = 80, rows, color = false, isDumb = false } = surroundings;
    const { keyFile = NO_KEY, knownAgentsFile, answer } = surroundings;
    const stdout = new Capture(terminal, columns, rows);
    const stderr = new Capture(terminal, columns, rows);
    const stop = new AbortController();
    const open = async () => this.store.open();
    const io: ClientIo = {
      stdout,
      stderr,
      color,
      isDumb,
      clock: this.clock,
      signal: stop.signal,
      requestedBy: "gpuctl:test@here",
      keyFile,
      ...(knownAgentsFile === undefined ? {} : { knownAgentsFile }),
      ...(answer === undefined ? {} : { ask: asking(stderr, answer) }),
      runProgram: async () => 0,
      open,
    };
    return { stdout, stderr, stop: () => stop.abort(), status: main(argv, io) };
  }

  /** Runs gpuctl to its end, which waits for no time to pass. */
  async run(argv: readonly string[], surroundings?: Surroundings): Promise<Ran> {
    const { status, stdout, stderr } = this.start(argv, surroundings);
    return { status: await status, stdout: stdout.text, stderr: stderr.text };
  }

  /** Puts a job into an agent's state as it goes on, and lets gpuctl see it. */
  async progress(agent: ScriptedAgent, change: Partial<Job>): Promise<void> {
    agent.jobs = agent.jobs.map((job) => ({ ...job, ...change }));
    await agent.publish();
    await this.clock.advance(500);
    await settle();
  }

  /** An instant so many seconds ago. */
  ago(seconds: number): string {
    return isoTime(this.clock.now() - seconds * 1000);
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.close();
  }
}

function asking(stderr: Capture, answer: string | null) {
  return async (question: string): Promise<string | null> => {
    stderr.write(`${question}${answer}\n`);
    return answer;
  };
}

/** A pull as it is once it was taken. */
export function jobOf(change: Partial<Job>): Job {
  return {
    id: "01a20aac-24d0-7785-b91f-da066d157a40",
    agent: "gpu-1",
    kind: "pull",
    model: "phi4:latest",
    state: "queued",
    completed_bytes: 0,
    total_bytes: null,
    bytes_per_second: null,
    eta_seconds: null,
    started_at: null,
    ended_at: null,
    code: null,
    error: null,
    ...change,
  };
}

/** A legacy service: its state, and one answer to whatever comes. */
export async function answerAsLegacyService(store: MemoryStore, answer: object): Promise<void> {
  const transport = store.open();
  await transport.connect();
  const state = { timestamp: "2026-01-02T03:04:05", status: "running", processed_commands: 0, ollama_available: true };
  await transport.publishState("gpu", JSON.stringify(state));
  await transport.receive("shared", {
    deliver: ({ id, content }) => {
      if (!("text" in content)) return;
      CommandV1.parse(JSON.parse(content.text));
      void transport.respond("shared", id, JSON.stringify(answer), { durable: false });
    },
  });
}
