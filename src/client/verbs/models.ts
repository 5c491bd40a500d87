// The verbs about installed models: list, rm, cp. Imports courier, its documents, model names, and the client's output.

import { formatAgo, formatBytes } from "../../base/format.ts";
import { normalModelName } from "../../base/model_name.ts";
import type { Unavailable } from "../../courier/models.ts";
import { modelsDocument } from "../../documents/models.ts";
import { copiedDocument, deletedDocument } from "../../documents/outcomes.ts";
import type { Response } from "../../protocol.ts";
import type { Printer } from "../output/printer.ts";
import type { Column } from "../output/table.ts";
import type { Session } from "../session.ts";
import { askEach, chosenViews, exitStatus, printOutcomes } from "./outcomes.ts";

const MODEL_COLUMNS: readonly Column[] = [
  { title: "NAME", flexible: true },
  { title: "ID" },
  { title: "SIZE", align: "right" },
  { title: "MODIFIED" },
  { title: "AGENTS", flexible: true },
];
/** As many as Ollama shows. */
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
  const rows = found.models.map(({ name, digest, size, modified_at, clockOffsetMs, agents: holders }) => [
    name,
    digest.slice(0, SHORT_DIGEST_CHARS),
    formatBytes(size),
    formatAgo(modified_at, nowMs - clockOffsetMs),
    holders.join(", "),
  ]);
  if (rows.length > 0) printer.table(MODEL_COLUMNS, rows);
  else printer.note("No model is installed\n  Pull one: gpuctl pull phi4");
  noteUnavailable(printer, found.unavailable);
  return 0;
}

/** `gpuctl rm MODEL` */
export async function removeModel(session: Session, model: string): Promise<number> {
  const { courier, printer, io } = session;
  const name = normalModelName(model);
  const views = await chosenViews(session);
  const outcomes = await askEach(views, async (agent) => {
    return await courier.deleteModel(agent, name, { signal: io.signal });
  });
  if (printer.json) printer.document(deletedDocument(outcomes.map((outcome) => ({ ...outcome, model: name }))));
  else printOutcomes(session, outcomes, "RESULT", (answer) => describeDeleted(name, answer));
  return exitStatus(
    outcomes.map(({ error }) => error?.code ?? null),
    io.signal,
  );
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
  return exitStatus(
    outcomes.map(({ error }) => error?.code ?? null),
    io.signal,
  );
}

/** Nothing where the agent cannot see its disk, or is a legacy service. */
function describeFreed({ freed_bytes, shared_bytes }: Response): string {
  const freed = freed_bytes === null || freed_bytes === undefined ? "" : `, ${formatBytes(freed_bytes)} freed`;
  return shared_bytes ? `${freed}, ${formatBytes(shared_bytes)} stay: other models share them` : freed;
}

/** Says on stderr which agents a list knows nothing of, and why. */
export function noteUnavailable(printer: Printer, unavailable: readonly Unavailable[]): void {
  for (const each of unavailable) printer.note(describeUnavailable(each));
}

export function describeUnavailable({ agent, reason }: Unavailable): string {
  return `Without ${agent}: ${reason}`;
}

function describeDeleted(name: string, answer: Response): string {
  const { job } = answer;
  if (job === undefined) return `deleted ${name}${describeFreed(answer)}`;
  const remains = job.partial_bytes ? `, ${formatBytes(job.partial_bytes)} remain for the next pull` : "";
  return `cancelled the pull of ${name}, which was not installed${remains}`;
}
