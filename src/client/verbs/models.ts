// The verbs about installed models: list, rm, cp.

import { formatAgo, formatBytes } from "../../base/format.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import type { Unavailable } from "../../courier/unavailable.ts";
import { modelsDocument } from "../../documents/models.ts";
import { copiedDocument, deletedDocument } from "../../documents/outcomes.ts";
import type { Response } from "../../protocol.ts";
import type { Printer } from "../output/printer.ts";
import type { Column } from "../output/table.ts";
import type { Session } from "../session.ts";
import { askEach, chosenViews, outcomesStatus, printOutcomes } from "./outcomes.ts";

const MODEL_COLUMNS: readonly Column[] = [
  { title: "NAME", flexible: true },
  { title: "ID" },
  { title: "SIZE", align: "right" },
  { title: "MODIFIED" },
  { title: "AGENTS", flexible: true },
];
/** Ollama shows as many. */
const SHORT_DIGEST_CHARS = 12;

/** `gpuctl list` */
export async function listModels(session: Session, { fresh }: { readonly fresh: boolean }): Promise<number> {
  const { courier, printer, transport, agents, io } = session;
  const found = await courier.listModels(agents, { fresh, signal: io.signal });
  if (printer.json) {
    printer.document(modelsDocument(found));
    return 0;
  }
  const nowMs = transport.now();
  const rows = found.models.map((model) => [
    model.name,
    model.digest.slice(0, SHORT_DIGEST_CHARS),
    // Ollama runs it on another host: only a stub of it is on this one.
    model.remote_host === undefined ? formatBytes(model.size) : "-",
    formatAgo(model.modified_at, nowMs - model.clockOffsetMs),
    model.agents.join(", "),
  ]);
  if (rows.length > 0) printer.table(MODEL_COLUMNS, rows);
  else printer.note("No model is installed\n  Pull one: gpuctl pull phi4");
  noteUnavailable(printer, found.unavailable);
  return 0;
}

/** `gpuctl rm MODEL...`: each model on each agent has its own result. */
export async function removeModels(session: Session, models: readonly string[]): Promise<number> {
  const { courier, printer, io } = session;
  const names = distinctNames(models);
  const views = await chosenViews(session);
  const removed = await Promise.all(
    names.map(async (name) => {
      const outcomes = await askEach(views, async (agent) => {
        return { name, response: await courier.deleteModel(agent, name, { signal: io.signal }) };
      });
      return outcomes.map((outcome) => ({ ...outcome, model: name }));
    }),
  );
  const outcomes = removed.flat();
  if (printer.json)
    printer.document(deletedDocument(outcomes.map((each) => ({ ...each, answer: each.answer?.response }))));
  else {
    const counted = names.length === 1 ? "agents" : "deletions";
    printOutcomes(session, outcomes, "RESULT", ({ name, response }) => describeDeleted(name, response), counted);
  }
  return outcomesStatus(outcomes, io.signal);
}

/** In Ollama's form, each model once however it is spelled: to delete it twice would fail. */
function distinctNames(models: readonly string[]): string[] {
  const names = models.map((model) => normalModelName(model));
  return names.filter((name, index) => names.findIndex((other) => sameModel(other, name)) === index);
}

/** `gpuctl cp MODEL DESTINATION` */
export async function copyModel(session: Session, model: string, destination: string): Promise<number> {
  const { courier, printer, io } = session;
  const [name, copy] = [normalModelName(model), normalModelName(destination)];
  const views = await chosenViews(session);
  const outcomes = await askEach(views, async (agent) => {
    await courier.copyModel(agent, name, copy, { signal: io.signal });
    return copy;
  });
  if (printer.json) printer.document(copiedDocument(outcomes, name, copy));
  else printOutcomes(session, outcomes, "RESULT", () => `copied ${name} to ${copy}`);
  return outcomesStatus(outcomes, io.signal);
}

/** Empty if the agent cannot read its disk, or is a legacy service. */
function describeFreed({ freed_bytes, shared_bytes }: Response): string {
  const freed = freed_bytes === null || freed_bytes === undefined ? "" : `, freed ${formatBytes(freed_bytes)}`;
  return shared_bytes ? `${freed}; ${formatBytes(shared_bytes)} still used by other models` : freed;
}

/** Prints on stderr the agents that a list does not include, and why. */
export function noteUnavailable(printer: Printer, unavailable: readonly Unavailable[]): void {
  for (const each of unavailable) printer.note(describeUnavailable(each));
}

export function describeUnavailable({ agent, reason }: Unavailable): string {
  return `${agent} not included: ${reason}`;
}

function describeDeleted(name: string, answer: Response): string {
  const { job } = answer;
  if (job === undefined) return `deleted ${name}${describeFreed(answer)}`;
  const remains = job.partial_bytes ? `, ${formatBytes(job.partial_bytes)} remain for the next pull` : "";
  return `cancelled the pull of ${name}, which was not installed${remains}`;
}
