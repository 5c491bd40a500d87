// The lines of a `trusted_keys` file: whose commands a box runs.
import { isoTime } from "../base/clock.ts";
import { CourierError } from "../base/errors.ts";
import { Verb } from "../protocol.ts";
import { type PublicKey, parseRawKey } from "./keys.ts";
import { isLowOrder } from "./low_order.ts";

export interface TrustedKey extends PublicKey {
  /** For people; may be empty. */
  readonly comment: string;
  /** The verbs that it may sign, and `mirror` for models on the share; null: all. */
  readonly verbs: ReadonlySet<Verb | "mirror"> | null;
  /** When it is no longer trusted, in ms since 1970; null: never. */
  readonly endsAtMs: number | null;
}

type Limits = Pick<TrustedKey, "verbs" | "endsAtMs">;

const DAY_MS = 86_400_000;

/**
 * The keys by id. A file with one wrong line is refused: a limit that is not understood must not be ignored.
 * @throws CourierError `invalid`, naming the line
 */
export function parseTrustedKeys(text: string): ReadonlyMap<string, TrustedKey> {
  const keys = new Map<string, TrustedKey>();
  const lines = new Map<string, number>();
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.split(/\s+/).filter((word) => word !== "");
    if (words.length === 0 || words[0]?.startsWith("#")) continue;
    const key = inLine(index + 1, () => parseKey(withoutRemark(words)));
    const first = lines.get(key.id);
    if (first !== undefined) throw wrong(index + 1, `it has the key of line ${first}`);
    lines.set(key.id, index + 1);
    keys.set(key.id, key);
  }
  return keys;
}

/** A remark begins with a word that begins with `#`. One that cuts off a limit may be meant otherwise. */
function withoutRemark(words: readonly string[]): readonly string[] {
  const at = words.findIndex((word) => word.startsWith("#"));
  if (at < 0) return words;
  const limit = words.slice(at).find((word) => /(?:verbs|not-after)=/.test(word));
  if (limit !== undefined) throw new Error(`${clip(limit)} is behind #: put it in front, or the whole line behind #`);
  return words.slice(0, at);
}

function parseKey([type, raw = "", ...rest]: readonly string[]): TrustedKey {
  if (type !== "ed25519") throw new Error("it does not begin with ed25519");
  const key = parseRawKey(raw);
  if (key === null) {
    const bytes = Buffer.from(raw, "base64");
    if (isLowOrder(bytes) && bytes.toString("base64") === raw) throw new Error("with its key, anybody could sign");
    throw new Error("its key is not the base64 of 32 bytes, in 44 characters");
  }
  const comment = rest.filter((word) => !word.includes("=")).join(" ");
  const given = rest.filter((each) => each.includes("="));
  const names = given.map((word) => word.slice(0, word.indexOf("=")));
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  if (repeated !== undefined) throw new Error(`it has ${clip(`${repeated}=`)} twice`);
  const limits: Limits = Object.assign({ verbs: null, endsAtMs: null }, ...given.map(parseLimit));
  return { ...key, comment, ...limits };
}

function parseLimit(word: string): Partial<Limits> {
  const value = word.slice(word.indexOf("=") + 1);
  if (word.startsWith("verbs=")) return { verbs: new Set(value.split(",").map(parseVerb)) };
  if (word.startsWith("not-after=")) return { endsAtMs: parseDay(value) + DAY_MS };
  throw new Error(`${clip(word)} is not verbs=... or not-after=...`);
}

function parseVerb(text: string): Verb | "mirror" {
  if (text === "mirror") return text;
  const verb = Verb.safeParse(text);
  if (verb.success) return verb.data;
  throw new Error(`${clip(text)} is not a verb`);
}

/** The first instant of a day, in UTC. */
function parseDay(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // A 31st of February would be one of March.
  if (!Number.isNaN(ms) && isoTime(ms).startsWith(text)) return ms;
  throw new Error(`${clip(text)} is not a date such as 2027-06-01`);
}

function inLine<Value>(number: number, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw wrong(number, error instanceof Error ? error.message : String(error));
  }
}

function wrong(number: number, reason: string): CourierError {
  return new CourierError("invalid", `line ${number}: ${reason}`);
}

function clip(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}
