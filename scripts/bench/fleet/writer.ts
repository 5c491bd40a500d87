// A process that plays the agents of a large fleet: it publishes their state documents and renews each of them every 5 s,
// evenly spread, until SIGTERM. `writer.ts SHARE AGENTS` prints a line when all are published, and one at its end. With `busy`
// behind it, those that pull publish twice a second, as agents do, and always pull.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FleetBox } from "#sim/fleet/box.ts";
import { LIMITS, parseState } from "#src/protocol.ts";
import { Turns } from "./turns.ts";

/** Between two batches of renewals. */
const TICK_MS = 10;
/** As often as an agent publishes while only the progress of its jobs changes. */
const WORK_MS = 500;
/** Of the first documents, so many are checked, evenly chosen. */
const CHECKED = 100;

class Writer {
  readonly #status: string;
  readonly #boxes: readonly FleetBox[];
  /** Those that work between renewals. */
  readonly #busy: readonly FleetBox[];

  constructor(share: string, agents: number, isBusy: boolean) {
    this.#status = join(share, "gpu_status");
    for (const folder of ["gpu_commands", "gpu_status/.tmp"]) mkdirSync(join(share, folder), { recursive: true });
    const nowMs = Date.now();
    this.#boxes = Array.from({ length: agents }, (_, index) => new FleetBox(index, nowMs));
    this.#busy = isBusy ? this.#boxes.filter((box) => box.isPulling) : [];
  }

  /** @throws Error when a document is not one that gpu-server reads */
  publishAll(): void {
    const checkedEach = Math.ceil(this.#boxes.length / CHECKED);
    for (const [index, box] of this.#boxes.entries()) {
      const text = this.#publish(box);
      if (index % checkedEach === 0) check(box.agent, text);
    }
  }

  /**
   * Where the machine is too slow for all, fewer are renewed.
   * @returns the number of documents renewed until `isStopping()`
   */
  async renew(isStopping: () => boolean): Promise<number> {
    const renewals = new Turns(this.#boxes, LIMITS.stateIntervalMs);
    const works = new Turns(this.#busy, WORK_MS);
    while (!isStopping()) {
      await Bun.sleep(TICK_MS);
      for (const box of renewals.due()) this.#publish(box);
      for (const box of works.due()) this.#publish(box, box.work(Date.now(), WORK_MS));
    }
    return renewals.count;
  }

  #publish(box: FleetBox, state = box.next(Date.now())): string {
    const text = JSON.stringify(state);
    const temporary = join(this.#status, ".tmp", box.agent);
    writeFileSync(temporary, text);
    renameSync(temporary, join(this.#status, `${box.agent}_status.json`));
    return text;
  }
}

function check(agent: string, text: string): void {
  const state = parseState(agent, text)?.state;
  if (state === undefined || !Bun.deepEquals(state, JSON.parse(text)) || text.length > LIMITS.stateBytes)
    throw new Error(`Not a state document of protocol version 2: ${text}`);
}

if (import.meta.main) {
  const [share = "", agents = "", busy] = process.argv.slice(2);
  const stopping = new AbortController();
  process.on("SIGTERM", () => stopping.abort());
  const parent = process.ppid;
  const writer = new Writer(share, Number(agents), busy === "busy");
  writer.publishAll();
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  const startedMs = performance.now();
  const renewed = await writer.renew(() => stopping.signal.aborted || process.ppid !== parent);
  process.stdout.write(
    `${JSON.stringify({ renewed, perSecond: (1000 * renewed) / (performance.now() - startedMs) })}\n`,
  );
}
