// A process that plays the agents of a large fleet on NATS until SIGTERM. `agents.ts URL AGENTS CONNECTIONS ANSWERING [signed]`
// prints a line when all have published, one each time when all have been served again after an interruption, and one at its
// end with what it sent a second. Those that answer commands are evenly spread, and each has a connection of its own, too.
import { FleetBox } from "#sim/fleet/box.ts";
import { LIMITS } from "#src/protocol.ts";
import { Layout } from "#src/transport/nats/layout.ts";
import type { Transport } from "#src/transport.ts";
import { Turns } from "../fleet/turns.ts";
import { answerAs } from "./answering.ts";
import { Crowd, type Member } from "./crowd.ts";

/** Real agents do not act together: in longer steps hundreds of heartbeats would arrive at once. */
const TICK_MS = 2;
/** As src/transport/nats/messages has them: a whole document, a sign of presence, a look into the inbox. */
const WHOLE_MS = 600_000;
const PRESENCE_MS = 10_000;
const LOOK_MS = 30_000;

interface Settings {
  readonly url: string;
  readonly agents: number;
  readonly connections: number;
  readonly answering: number;
  readonly isSigned: boolean;
}

class Agents {
  readonly #crowds: Crowd[] = [];
  readonly #answering: Transport[] = [];
  /** Connections that are away, or whose agents are not served yet. */
  #away = 0;
  #lostAtMs = 0;

  async open({ url, agents, connections, answering, isSigned }: Settings): Promise<void> {
    const nowMs = Date.now();
    const boxes = Array.from({ length: agents }, (_, index) => new FleetBox(index, nowMs));
    const each = Math.ceil(agents / connections);
    const watcher = { lost: () => this.#lost(), served: () => this.#served() };
    for (let begin = 0; begin < agents; begin += each) {
      const some = boxes.slice(begin, begin + each);
      this.#crowds.push(await Crowd.open(url, { layout: new Layout(), boxes: some, isSigned, watcher }));
    }
    for (const crowd of this.#crowds) await crowd.begin();
    for (let index = 0; index < answering; index++) {
      const box = boxes[index * Math.floor(agents / answering)];
      if (box !== undefined) this.#answering.push(await answerAs(box.agent, url));
    }
  }

  /** @returns the heartbeats a second until `isStopping()` */
  async live(isStopping: () => boolean): Promise<number> {
    const members = this.#crowds.flatMap((crowd) => crowd.members);
    const turns: readonly [Turns<Member>, (member: Member) => void][] = [
      [new Turns(members, LIMITS.stateIntervalMs), (member) => member.crowd.heartbeat(member)],
      [new Turns(members, PRESENCE_MS), (member) => member.crowd.show(member)],
      [new Turns(members, LOOK_MS), (member) => member.crowd.look(member)],
      [new Turns(members, WHOLE_MS), (member) => member.crowd.publish(member)],
    ];
    const startedMs = performance.now();
    while (!isStopping()) {
      await Bun.sleep(TICK_MS);
      for (const [turn, run] of turns) for (const member of turn.due()) run(member);
    }
    return (1000 * (turns[0]?.[0].count ?? 0)) / (performance.now() - startedMs);
  }

  async close(): Promise<void> {
    for (const transport of this.#answering) await transport.close();
    for (const crowd of this.#crowds) await crowd.close();
  }

  #lost(): void {
    if (this.#away === 0) this.#lostAtMs = performance.now();
    this.#away += 1;
  }

  #served(): void {
    this.#away -= 1;
    if (this.#away === 0) print({ served: true, ms: performance.now() - this.#lostAtMs });
  }
}

function print(document: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

if (import.meta.main) {
  const [url = "", agents, connections, answering, signed] = process.argv.slice(2);
  const stopping = new AbortController();
  process.on("SIGTERM", () => stopping.abort());
  const parent = process.ppid;
  const all = new Agents();
  await all.open({
    url,
    agents: Number(agents),
    connections: Number(connections),
    answering: Number(answering),
    isSigned: signed === "signed",
  });
  print({ ready: true });
  const perSecond = await all.live(() => stopping.signal.aborted || process.ppid !== parent);
  print({ perSecond });
  await all.close();
}
