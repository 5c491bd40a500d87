// The text that an operator writes and signs: one agent, sender or revoked key a line.
import { CourierError } from "../../base/errors.ts";
import { AgentName, LEGACY_SERVICE_AGENT, LIMITS } from "../../protocol.ts";
import { parseRawKey, rawKey, type SigningKey } from "../keys.ts";
import { signDocument } from "../signature.ts";
import { parseTrustedKeys } from "../trusted_keys.ts";
import { parseRoster, type RosterDocument } from "./document.ts";

/** What a roster says, without its serial and times. */
export type RosterContent = Pick<RosterDocument, "agents" | "senders" | "revoked">;

export type RosterTimes = Pick<RosterDocument, "serial" | "issued_at_ms" | "expires_at_ms">;

interface Draft {
  /** Raw keys by agent. */
  readonly agents: Map<string, string>;
  /** Lines by key id. */
  readonly senders: Map<string, string>;
  readonly revoked: Set<string>;
}

/**
 * Reads lines such as `agent gpu-1 ed25519 ...`, `sender ed25519 ... alice@laptop verbs=pull_model` and
 * `revoked fd110d301d2f077d`: the output of `gpu-agent key`, `gpu-server key` and `gpuctl key` after one or two words.
 * @throws CourierError `invalid`, naming the line
 */
export function parseDraft(text: string): RosterContent {
  const draft: Draft = { agents: new Map(), senders: new Map(), revoked: new Set() };
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.split(/\s+/).filter((word) => word !== "");
    if (words.length === 0 || words[0]?.startsWith("#")) continue;
    try {
      addLine(draft, words);
    } catch (error) {
      const reason = error instanceof Error ? error.message.replace(/^line 1: /, "") : String(error);
      throw new CourierError("invalid", `line ${index + 1}: ${reason}`);
    }
  }
  const { agents, senders, revoked } = draft;
  return { agents: Object.fromEntries(agents), senders: [...senders.values()], revoked: [...revoked] };
}

/** The lines that `parseDraft()` reads. */
export function formatDraft({ agents, senders, revoked }: RosterContent): string {
  const lines = [
    ...Object.entries(agents).map(([name, key]) => `agent ${name} ed25519 ${key}`),
    ...senders.map((line) => `sender ${line}`),
    ...revoked.map((id) => `revoked ${id}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * The text of the signed roster.
 * @throws CourierError `invalid` when no reader would take it
 */
export function signRoster(content: RosterContent, times: RosterTimes, key: SigningKey): string {
  const text = JSON.stringify({ ...times, ...content });
  parseRoster(text);
  const signed = signDocument("roster", text, key);
  if (Buffer.byteLength(signed) < LIMITS.rosterBytes) return signed;
  throw new CourierError("invalid", `it is larger than ${LIMITS.rosterBytes} bytes`);
}

function addLine({ agents, senders, revoked }: Draft, [kind, ...rest]: readonly string[]): void {
  if (kind === "agent") return addAgent(agents, rest);
  if (kind === "sender") return addSender(senders, rest);
  const [id = ""] = rest;
  if (kind !== "revoked") throw new Error("it begins with none of agent, sender and revoked");
  if (!/^[0-9a-f]{16}$/.test(id)) throw new Error("the id of a key has 16 of 0-9 and a-f");
  revoked.add(id);
}

function addAgent(agents: Draft["agents"], [name = "", type, raw = ""]: readonly string[]): void {
  if (!AgentName.safeParse(name).success)
    throw new Error(`${JSON.stringify(name.slice(0, 40))} is not an agent's name`);
  if (name === LEGACY_SERVICE_AGENT) throw new Error("a legacy service has no key");
  const key = type === "ed25519" ? parseRawKey(raw) : null;
  if (key === null) throw new Error("after the agent's name, give the line that `gpu-agent key` prints");
  if (agents.has(name)) throw new Error(`${name} has a line already`);
  const text = rawKey(key);
  const other = [...agents].find(([, known]) => known === text)?.[0];
  if (other !== undefined) throw new Error(`it has the key of ${other}: was the state directory copied?`);
  agents.set(name, text);
}

function addSender(senders: Draft["senders"], words: readonly string[]): void {
  const [key] = parseTrustedKeys(words.join(" ")).values();
  if (key === undefined) throw new Error("after sender, give the line that `gpuctl key` or `gpu-server key` prints");
  if (senders.has(key.id)) throw new Error("it has the key of another line");
  const remark = words.findIndex((word) => word.startsWith("#"));
  senders.set(key.id, words.slice(0, remark < 0 ? undefined : remark).join(" "));
}
