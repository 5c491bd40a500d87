// The audit for people, 80 columns wide, the newest first.
import { visibleText } from "../../base/format.ts";
import type { AuditDocument, AuditEntry, Dropped } from "../../documents/audit.ts";

const COLUMNS = 80;
const INDENT = "    ";

/** For each entry a line with what was done, and an indented one with its sender. */
export function auditText({ entries, dropped = [], next }: AuditDocument): string {
  if (entries.length === 0 && dropped.length === 0) return "No entries\n";
  const older = next === undefined ? [] : ["There are older entries: use a higher --limit"];
  const blocks = [...entries.flatMap((entry) => [whatOf(entry), `${INDENT}${whoOf(entry)}`]), ...older];
  return [...blocks, ...dropped.map(droppedText)].flatMap(wrapped).join("");
}

function whatOf({ at, outcome, verb, request, agent, model, details, job }: AuditEntry): string {
  const what = [verb ?? request, model, agent && `on ${agent}`, details, job && `job ${job}`];
  return `${timeOf(at)}  ${outcome ?? "unknown"}  ${joined(what, " ")}`;
}

function whoOf({ who, way, peer, verb, request, key }: AuditEntry): string {
  if (request === null) return "by gpu-server itself";
  const sender = way === "trusted" ? "by anyone, without a token" : `by ${who ?? "?"} (${way ?? "?"})`;
  return joined([sender, peer && `from ${peer}`, verb && request, key && `key ${key}`], ", ");
}

function joined(parts: readonly (string | null)[], separator: string): string {
  const known = parts.filter((part) => part !== null);
  return known.map((part) => visibleText(part, " ")).join(separator);
}

function droppedText({ refused, entries, until }: Dropped): string {
  const what = refused ? "refused requests" : "entries";
  return `${entries} older ${what} are no longer kept, up to ${timeOf(until)}`;
}

/** To the second, in UTC. */
function timeOf(instant: string): string {
  return `${instant.slice(0, 19).replace("T", " ")}Z`;
}

/** The lines of a text; what does not fit follows indented, and a word that is too long is broken. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (let rest = text; rest !== ""; ) {
    const end = rest.length <= COLUMNS ? rest.length : lineEnd(rest);
    lines.push(`${rest.slice(0, end).trimEnd()}\n`);
    const more = rest.slice(end).trimStart();
    rest = more === "" ? "" : `${INDENT}${more}`;
  }
  return lines;
}

function lineEnd(text: string): number {
  const space = text.lastIndexOf(" ", COLUMNS);
  return space > INDENT.length + 1 ? space : COLUMNS;
}
