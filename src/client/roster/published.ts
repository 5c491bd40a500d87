// The published roster: shown, taken as a draft for the next one, and replaced.
import { isoTime } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { ROSTER_ENDS_SOON_MS } from "../../doctor/roster.ts";
import { LIMITS } from "../../protocol.ts";
import { parseRoster, type RosterDocument } from "../../trust/roster/document.ts";
import { formatDraft, type RosterContent } from "../../trust/roster/draft.ts";
import type { KeptRoster } from "../../trust/roster/kept_roster.ts";
import { takeRoster } from "../../trust/roster/take_roster.ts";
import { findSignature } from "../../trust/signature.ts";
import type { Printer } from "../output/printer.ts";
import { type OpenShare, type Session, shareOf, type Verb } from "../session.ts";
import { followRoster } from "./kept.ts";
import { readTextFile } from "./read_file.ts";

/** A roster as far as this gpuctl can judge it. */
interface Shown {
  readonly document: RosterDocument;
  /** The id of the key that its signature names. */
  readonly signedBy: string;
  /** Whether an operator of this gpuctl signed it. */
  readonly isVerified: boolean;
}

const DAY_MS = 86_400_000;
const NOTHING: RosterContent = { agents: {}, senders: [], revoked: [] };
const NOT_VERIFIED = "Not verified: --operator-keys names no operator here";

/** @param path undefined: the one on the share */
export function showRoster(path: string | undefined): Verb {
  return async (session) => {
    const { printer, io, share } = session;
    const shown = path === undefined ? await readPublished(shareOf(session)) : readFile(path, share?.roster ?? null);
    if (shown === null)
      throw new CourierError("not_found", "There is no roster on the share", { hint: "gpuctl roster --help" });
    if (printer.json) printer.document(describe(shown));
    else printer.text(`${heading(shown)}${formatDraft(shown.document)}`);
    if (!shown.isVerified) printer.note(NOT_VERIFIED);
    noteEnd(shown.document, io.clock.now(), printer);
    return 0;
  };
}

/** Prints the lines of the published roster, and those of agents that it does not name. */
export async function draftRoster(session: Session): Promise<number> {
  const { printer, courier } = session;
  const share = shareOf(session);
  const shown = share.roster === null ? await readPublished(share) : await readKept(share, share.roster);
  const { agents, senders, revoked } = shown?.document ?? NOTHING;
  const seen: Record<string, string> = {};
  for (const { agent, state } of await courier.agents())
    if (state?.key !== undefined && agents[agent] !== state.key) seen[agent] = state.key;
  const head = shown === null ? INTRODUCTION : heading(shown);
  if (printer.json) printer.document({ agents, senders, revoked, seen });
  else printer.text(`${head}${formatDraft({ agents, senders, revoked })}${asSeen(seen)}`);
  if (shown?.isVerified === false) printer.note(NOT_VERIFIED);
  return 0;
}

/** @throws CourierError when it is not signed, or would be refused here */
export function publishRoster(path: string): Verb {
  return async (session) => {
    const { transport, roster, printer } = shareOf(session);
    const text = readTextFile(path, LIMITS.rosterBytes).trimEnd();
    const shown = judged(path, () => judge(text, roster));
    await transport.connect();
    // A newer one may be there. One that counts for nothing is replaced.
    await followRoster(transport, roster, printer);
    judged(path, () => roster?.offer(text));
    await transport.publishRoster(`${text}\n`);
    roster?.save();
    if (printer.json) printer.document(describe(shown));
    else printer.line(`Published the roster ${shown.document.serial}: boxes and servers read it within a minute`);
    if (!shown.isVerified) printer.note(NOT_VERIFIED);
    return 0;
  };
}

/** The newest one that an operator signed; null before. */
async function readKept({ transport, printer }: OpenShare, roster: KeptRoster): Promise<Shown | null> {
  await transport.connect();
  await followRoster(transport, roster, printer);
  const kept = roster.roster;
  return kept === null ? null : { document: kept, signedBy: kept.signedBy, isVerified: true };
}

/** Null: nobody published one. With operators an older one is refused, as everywhere. */
async function readPublished({ transport, roster }: OpenShare): Promise<Shown | null> {
  await transport.connect();
  const content = await transport.readRoster();
  if (content === null) return null;
  if (!("text" in content))
    throw new CourierError("invalid", `The roster on the share cannot be used: it ${content.refused}`);
  if (roster !== null) await takeRoster(transport, roster);
  return judged("the share", () => judge(content.text, roster));
}

function judge(text: string, roster: KeptRoster | null): Shown {
  const signature = findSignature(text);
  if (signature === null) throw new CourierError("unauthenticated", "it is not signed", { hint: "gpuctl roster sign" });
  const document = roster === null ? parseRoster(signature.signed) : roster.verify(text);
  return { document, signedBy: signature.keyId, isVerified: roster !== null };
}

/** @throws CourierError that names the file */
function judged<Value>(path: string, judgment: () => Value): Value {
  try {
    return judgment();
  } catch (error) {
    const { code, message, hint } = asCourierError(error);
    throw new CourierError(code, `Refuses the roster in ${path}: ${message}`, { hint, cause: error });
  }
}

function readFile(path: string, roster: KeptRoster | null): Shown {
  return judged(path, () => judge(readTextFile(path, LIMITS.rosterBytes), roster));
}

function describe({ document, signedBy, isVerified }: Shown) {
  const { serial, issued_at_ms, expires_at_ms, agents, senders, revoked } = document;
  const times = { issued_at: isoTime(issued_at_ms), expires_at: isoTime(expires_at_ms) };
  return { serial, ...times, signed_by: signedBy, verified: isVerified, agents, senders, revoked };
}

function heading({ document, signedBy, isVerified }: Shown): string {
  const { serial, issued_at_ms, expires_at_ms } = document;
  const [from, to] = [isoTime(issued_at_ms), isoTime(expires_at_ms)];
  return `# Roster ${serial}, signed by ${signedBy} (${isVerified ? "an operator here" : "not verified"})\n# Valid from ${from} to ${to}\n`;
}

function noteEnd({ expires_at_ms }: RosterDocument, nowMs: number, printer: Printer): void {
  const leftMs = expires_at_ms - nowMs;
  const hint = "Sign the next one: gpuctl roster --help";
  if (leftMs <= 0) printer.note("It has ended: its senders are no longer trusted", hint);
  else if (leftMs < ROSTER_ENDS_SOON_MS) printer.note(`It ends in ${Math.ceil(leftMs / DAY_MS)} days`, hint);
}

const INTRODUCTION = `# One line for each agent, sender and revoked key, with what the programs print:
#   agent NAME     and the output of: gpu-agent key
#   sender         and the output of: gpu-server key, or gpuctl key
#   revoked        and the id of a key
`;

function asSeen(keys: Readonly<Record<string, string>>): string {
  const lines = formatDraft({ agents: keys, senders: [], revoked: [] }).trimEnd();
  if (lines === "") return "";
  const rest = lines.split("\n").map((line) => `# ${line}\n`);
  return `# Seen on the share, where they may be forged: compare with \`gpu-agent key\` on the box, then remove the #\n${rest.join("")}`;
}
