// Machines whose clocks are off by an hour or jump while they run: which commands run, and how agents look to a sender,
// on a real share. Prints the results as a table.
import { afterEach, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assemble } from "#src/agent/assemble.ts";
import { Ledger } from "#src/agent/ledger/ledger.ts";
import { isoTime } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { formatTable } from "#src/client/output/table.ts";
import { Courier } from "#src/courier.ts";
import { Response, State } from "#src/protocol.ts";
import { openTransport } from "#src/transport/open.ts";
import { OffsetClock } from "#tests/support/clocks/offset_clock.ts";
import { AGENT_OPTIONS, ScriptedOllama, signing } from "#tests/support/sites/agent_on_memory.ts";
import { until } from "#tests/support/until.ts";

const HOUR_MS = 3_600_000;
const TIMEOUT_MS = 10_000;

const cleanUp: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).toReversed()) await undo();
});

/** A share with a running agent and one that fell silent 30 s ago. */
class ClockSite {
  readonly dir = mkdtempSync(join(tmpdir(), "gpu-courier-clocks-"));
  readonly share = join(this.dir, "share");
  readonly agentClock = new OffsetClock();
  readonly senderClock = new OffsetClock();
  readonly ollama = new ScriptedOllama();

  constructor() {
    cleanUp.push(() => rmSync(this.dir, { recursive: true }));
    for (const folder of ["gpu_commands/.tmp", "gpu_status/.tmp", "gpu_status/tester"])
      mkdirSync(join(this.share, folder), { recursive: true });
  }

  async start(): Promise<void> {
    const ledger = new Ledger(this.dir);
    const stop = new AbortController();
    const clock = this.agentClock;
    const startedAt = isoTime(clock.now());
    const agent = assemble({
      identity: { agent: "gpu-1", instance: "i-1", host: "host-1", startedAt },
      transport: openTransport(this.share, { create: "never", watch: "auto", clock, log: silentLog }),
      ollama: this.ollama,
      ledger,
      ...AGENT_OPTIONS,
      ...signing(this.dir, "i-1"),
      modelsDir: undefined,
      clock,
    });
    const ended = agent.run(stop.signal);
    cleanUp.push(async () => {
      stop.abort();
      await ended;
      ledger.close();
    });
    await until(() => this.state?.serves_shared_inbox === true, TIMEOUT_MS);
  }

  get state(): State | undefined {
    const [text] = this.#read("gpu_status", "gpu-1_status.json");
    return text === undefined ? undefined : State.parse(JSON.parse(text));
  }

  /** Writes a command that was published this long ago, by the share's clock. */
  put(inbox: string, id: string, ageMs: number, fields: object): void {
    const written = join(this.share, "gpu_commands/.tmp", crypto.randomUUID());
    writeFileSync(written, JSON.stringify({ command_id: id, timestamp: "2025-07-15T17:00:00", ...fields }));
    this.#age(written, ageMs);
    renameSync(written, join(this.share, "gpu_commands", inbox, `${id}.json`));
  }

  /** Writes an agent's document that was published this long ago, and is not signed. */
  leaveState(agent: string, ageMs: number): void {
    const path = join(this.share, "gpu_status", `${agent}_status.json`);
    writeFileSync(path, JSON.stringify({ ...this.state, agent, key: undefined, signature: undefined }));
    this.#age(path, ageMs);
  }

  /** Waits for the response. @returns whether the command was run */
  async outcome(folder: string, id: string): Promise<string> {
    await until(() => this.#read(folder, `${id}_response.json`).length === 1, TIMEOUT_MS);
    const { success, error = "" } = Response.parse(JSON.parse(this.#read(folder, `${id}_response.json`)[0] ?? ""));
    if (success) return "run";
    return / old and was valid for /.test(error) ? "refused" : error;
  }

  /** An agent's condition as a sender sees it, and a round trip to the running one. */
  async seen(): Promise<{ ping: string; liveness: string }> {
    const clock = this.senderClock;
    const transport = openTransport(this.share, { create: "never", watch: "auto", clock, log: silentLog });
    await transport.connect();
    const courier = new Courier(transport, { sender: "tester", timeoutMs: TIMEOUT_MS, clock });
    try {
      const ping = await courier.ping("gpu-1").then(
        () => "run",
        (error: Error) => error.message,
      );
      const views = await courier.agents();
      return { ping, liveness: views.map(({ online, reason }) => (online ? "online" : reason)).join(", ") };
    } finally {
      await courier.close();
      await transport.close();
    }
  }

  #age(path: string, ageMs: number): void {
    const at = (Date.now() - ageMs) / 1000;
    utimesSync(path, at, at);
  }

  /** One text or none. Reads only names that a listing has shown. */
  #read(folder: string, name: string): string[] {
    const path = join(this.share, folder);
    return readdirSync(path).includes(name) ? [readFileSync(join(path, name), "utf8")] : [];
  }
}

interface Row {
  readonly who: "agent" | "sender";
  /** How far its clock is off from the start, and how far it jumps while it runs, in hours. */
  readonly starts: number;
  readonly jumps: number;
}

const ROWS: readonly Row[] = [
  { who: "agent", starts: 0, jumps: 0 },
  { who: "agent", starts: -1, jumps: 0 },
  { who: "agent", starts: 1, jumps: 0 },
  { who: "agent", starts: 0, jumps: -1 },
  { who: "agent", starts: 0, jumps: 1 },
  { who: "sender", starts: -1, jumps: 0 },
  { who: "sender", starts: 1, jumps: 0 },
  { who: "sender", starts: 0, jumps: -1 },
  { who: "sender", starts: 0, jumps: 1 },
];

const TITLES = ["CLOCK", "PING", "V2", "V2 LATE", "LIST", "LIST LATE", "PULL", "PULL LATE", "AGENTS", "OFFSET"];

async function outcomesOf({ who, starts, jumps }: Row): Promise<string[]> {
  const site = new ClockSite();
  const clock = who === "agent" ? site.agentClock : site.senderClock;
  clock.offsetMs = starts * HOUR_MS;
  await site.start();
  site.leaveState("gpu-2", 30_000);
  clock.offsetMs += jumps * HOUR_MS;
  const v2 = { version: 2, command: "list_models", agent: "gpu-1", reply_to: "tester", ttl_ms: 30_000 };
  site.put("gpu-1", "v2", 20_000, v2);
  site.put("gpu-1", "v2-late", 40_000, v2);
  const pull = { command: "pull_model", model_name: "phi4" };
  site.put(".", "list", 50_000, { command: "list_models" });
  site.put(".", "list-late", 70_000, { command: "list_models" });
  site.put(".", "pull", 23.5 * HOUR_MS, pull);
  site.put(".", "pull-late", 24.5 * HOUR_MS, pull);
  const { ping, liveness } = await site.seen();
  const outcomes = [
    ping,
    ...(await Promise.all(["v2", "v2-late"].map(async (id) => await site.outcome("gpu_status/tester", id)))),
    ...(await Promise.all(
      ["list", "list-late", "pull", "pull-late"].map(async (id) => await site.outcome("gpu_status", id)),
    )),
    liveness,
  ];
  const offsetHours = (): number => Math.round(((site.state?.clock_offset_ms ?? 0) / HOUR_MS) * 1000) / 1000;
  const expected = who === "agent" ? -(starts + jumps) : 0;
  await until(() => Math.abs(offsetHours() - expected) < 0.001, TIMEOUT_MS);
  return [...outcomes, `${offsetHours()} h`];
}

function nameOf({ who, starts, jumps }: Row): string {
  const hours = (count: number): string => `${count > 0 ? "+" : ""}${count} h`;
  if (jumps !== 0) return `${who} jumps ${hours(jumps)}`;
  return starts === 0 ? "right" : `${who} ${hours(starts)}`;
}

test("the share's clock decides which commands run and which agents are online, whatever the machines' clocks say", async () => {
  const table: string[][] = [];
  for (const row of ROWS) {
    table.push([nameOf(row), ...(await outcomesOf(row))]);
    for (const undo of cleanUp.splice(0).toReversed()) await undo();
  }
  const columns = TITLES.map((title) => ({ title }));
  process.stdout.write(`\n${formatTable(columns, table, Number.POSITIVE_INFINITY)}\n`);
  const same = ["run", "run", "refused", "run", "refused", "run", "refused", "online, silent"];
  const offsets = ["0 h", "1 h", "-1 h", "1 h", "-1 h", "0 h", "0 h", "0 h", "0 h"];
  expect(table).toEqual(ROWS.map((row, index) => [nameOf(row), ...same, offsets[index] ?? ""]));
}, 120_000);
