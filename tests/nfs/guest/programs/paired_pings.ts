// Pings an agent that signs and one that does not, in turns, as one sender with a key and one without, and prints how long
// each ping took. `paired_pings.ts SIGNED_SHARE KEY UNSIGNED_SHARE ROUNDS`
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { Courier } from "#src/courier.ts";
import { openTransport } from "#src/transport/open.ts";
import { KnownAgents } from "#src/trust/agents/known_agents.ts";
import { readKey } from "#src/trust/key_file.ts";

/** Of one side, before it is the other's turn. */
const PINGS = 10;
/** Not counted: both sides run what is compiled by then. */
const WARM_UP_ROUNDS = 1;
const PAUSE_MS = 20;
/** An agent that was just asked looks every 50 ms: the pauses meet each moment of that equally often. */
const LOOKS_APART_MS = 50;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

class Sender {
  readonly #courier: Courier;
  readonly #agent: string;
  readonly #close: () => Promise<void>;

  private constructor(courier: Courier, agent: string, close: () => Promise<void>) {
    this.#courier = courier;
    this.#agent = agent;
    this.#close = close;
  }

  /** @param keyPath undefined: it signs nothing */
  static async open(share: string, agent: string, keyPath?: string): Promise<Sender> {
    const transport = openTransport(share, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
    await transport.connect();
    const signingKey = keyPath === undefined ? null : readKey(keyPath);
    const agents = new KnownAgents("known");
    const courier = new Courier(transport, { sender: "pairs", timeoutMs: 10_000, signingKey, agents });
    return new Sender(courier, agent, async () => {
      await courier.close();
      await transport.close();
    });
  }

  /** @returns how long each answer took, in ms */
  async takeTurn(round: number): Promise<number[]> {
    const times: number[] = [];
    for (let ping = 0; ping < PINGS; ping++) {
      await Bun.sleep(PAUSE_MS + LOOKS_APART_MS * (((round * PINGS + ping) * GOLDEN) % 1));
      times.push(await this.#courier.ping(this.#agent));
    }
    return times;
  }

  /** The id of the key that it knows as the agent's; null when the agent does not sign. */
  get agentKey(): string | null {
    return this.#courier.keys.key(this.#agent)?.id ?? null;
  }

  async close(): Promise<void> {
    await this.#close();
  }
}

if (import.meta.main) {
  const [signedShare = "", keyPath = "", unsignedShare = "", count = ""] = process.argv.slice(2);
  const senders = {
    signed: await Sender.open(signedShare, "gpu-1", keyPath),
    unsigned: await Sender.open(unsignedShare, "gpu-2"),
  };
  const rounds: { signed: number[]; unsigned: number[] }[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + Number(count); round++) {
    const turns = { signed: [] as number[], unsigned: [] as number[] };
    const order = ["signed", "unsigned"] as const;
    for (const side of round % 2 === 0 ? order : order.toReversed()) turns[side] = await senders[side].takeTurn(round);
    if (round >= WARM_UP_ROUNDS) rounds.push(turns);
  }
  const keys = { signed: senders.signed.agentKey, unsigned: senders.unsigned.agentKey };
  for (const sender of Object.values(senders)) await sender.close();
  process.stdout.write(`${JSON.stringify({ rounds, keys })}\n`);
}
