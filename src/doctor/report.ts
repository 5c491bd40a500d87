// The doctor of gpuctl and gpu-agent: checks the transport and the fleet, and prints the results.
import { about, type Check } from "../base/check.ts";
import { CourierError } from "../base/errors.ts";
import { visibleText } from "../base/format.ts";
import { compareNames } from "../base/order.ts";
import type { AgentView } from "../courier/agent_view.ts";
import type { Agents } from "../courier/selection.ts";
import type { Courier } from "../courier.ts";
import { type DoctorDocument, doctorDocument } from "../documents/doctor.ts";
import { type Paint, plain } from "../program/style.ts";
import type { Transport } from "../transport.ts";
import type { KeptRoster } from "../trust/roster/kept_roster.ts";
import { examineKeys } from "./agent_keys.ts";
import { examineFleet } from "./fleet.ts";
import { examineRoster } from "./roster.ts";

/** As people count, whichever order a server has. */
function inOrder(views: readonly AgentView[]): AgentView[] {
  return views.toSorted((a, b) => compareNames(a.agent, b.agent));
}

/** The output of the report. */
export interface Report {
  readonly json: boolean;
  /** In columns. Infinity prints every check on one line. */
  readonly width: number;
  /** Colors the marks; missing: no colors. */
  readonly paint?: Paint;
  /** Whole lines, harmless, with colors. May resolve only after they are written. */
  text(text: string): void | Promise<void>;
  document(document: DoctorDocument): void | Promise<void>;
}

export interface Examined {
  readonly transport: Transport;
  readonly courier: Courier;
  /** Undefined: all agents. */
  readonly agents?: Agents | undefined;
  /** How long a ping waits; undefined: as long as every request of the courier. */
  readonly pingMs?: number | undefined;
  /** Whether this program remembers the keys of the agents. */
  readonly keepsKeys: boolean;
  /** Null: no operator is trusted here. */
  readonly roster: (() => KeptRoster) | null;
  readonly signal: AbortSignal;
}

/** Every check that this machine can make. Never rejects. */
export async function* examine({
  transport,
  courier,
  agents,
  pingMs,
  roster,
  keepsKeys,
  signal,
}: Examined): AsyncGenerator<Check> {
  // A server has asked before.
  const ignoredBefore = new Map(courier.ignoredReplies);
  let hasFailed = false;
  for await (const check of transport.examine()) {
    hasFailed ||= check.result === "failed";
    yield check;
  }
  try {
    await transport.connect();
    if (roster !== null) yield await examineRoster(transport, roster);
    const all = await courier.agents();
    const views = agents === undefined || agents === "all" ? all : await courier.choose(agents);
    yield* examineFleet(inOrder(views), transport.hasSharedInbox ? inOrder(all) : null, {
      ping: async (agent) => await courier.ping(agent, { timeoutMs: pingMs, signal }),
      ignored: (agent) => (courier.ignoredReplies.get(agent) ?? 0) - (ignoredBefore.get(agent) ?? 0),
    });
    // After the pings, which read the states again.
    yield* examineKeys(courier.keys, keepsKeys);
  } catch (error) {
    // A failed check above has most likely shown the same problem, with more detail.
    if (!hasFailed) yield about("fleet").failedBy(error);
  }
}

/**
 * Prints each check as soon as it is made, or one document at the end for `--json`.
 * @returns the exit status: 1 when a check failed
 * @throws CourierError `cancelled` when the signal aborted
 */
export async function printChecks(checks: AsyncIterable<Check>, report: Report, signal: AbortSignal): Promise<number> {
  const made: Check[] = [];
  for await (const check of checks) {
    if (signal.aborted) throw new CourierError("cancelled", "Interrupted before all checks were made");
    made.push(check);
    if (!report.json) await report.text(`${formatCheck(check, report)}\n`);
  }
  const document = doctorDocument(made);
  if (report.json) await report.document(document);
  else await report.text(`\n${summary(made, report.paint)}\n`);
  return document.result === "failed" ? 1 : 0;
}

const MARKS = { ok: "✓", warning: "!", failed: "✗" } as const;
const TONES = { ok: "good", warning: "caution", failed: "bad" } as const;

function formatCheck({ check, subject, result, message, hint }: Check, { width, paint = plain }: Report): string {
  const name = subject === null ? check : `${check} ${subject}`;
  const mark = MARKS[result];
  const text = wrap(`${mark} ${name}: ${message}`, width, "", "  ");
  const head = paint(mark, TONES[result]) + text.slice(mark.length);
  return hint === null ? head : `${head}\n${wrap(hint, width, "    ", "    ")}`;
}

/** Breaks foreign text into lines of at most `width`. A longer word stays whole, so that a path can be copied. */
function wrap(text: string, width: number, indent: string, hanging: string): string {
  const lines: string[] = [];
  let line = indent;
  for (const word of visibleText(text).split(/\s+/)) {
    const longer = line.trim() === "" ? `${line}${word}` : `${line} ${word}`;
    if (Bun.stringWidth(longer) <= width || line.trim() === "") {
      line = longer;
      continue;
    }
    lines.push(line);
    line = `${hanging}${word}`;
  }
  return [...lines, line].join("\n");
}

function summary(checks: readonly Check[], paint: Paint = plain): string {
  const count = (result: Check["result"]): number => checks.filter((check) => check.result === result).length;
  const [warnings, failed] = [count("warning"), count("failed")];
  const counts = [
    `${count("ok")} ok`,
    paint(`${warnings} ${warnings === 1 ? "warning" : "warnings"}`, warnings > 0 ? TONES.warning : null),
    paint(`${failed} failed`, failed > 0 ? TONES.failed : null),
  ];
  const rest = failed === 0 ? "" : "\nFix the failures and rerun: dependent checks were skipped";
  return `${checks.length} ${checks.length === 1 ? "check" : "checks"}: ${counts.join(", ")}${rest}`;
}
