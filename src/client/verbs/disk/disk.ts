// The verb disk.
import { formatAgo, formatBytes } from "../../../base/format.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import type { ShownUsage } from "../../../courier/disk.ts";
import { diskDocument } from "../../../documents/models/disk.ts";
import { askEach, type Outcome, outcomesStatus, printOutcomes } from "../../asking/outcomes.ts";
import { examples, type Program } from "../../base_command.ts";
import { parseAgents } from "../../output/agent_names.ts";
import { type Column, MODEL_NAME } from "../../output/table.ts";
import type { Run, Session } from "../../session.ts";

const COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "MODELS", align: "right" },
  { title: "PARTIAL", align: "right" },
  { title: "ORPHANED", align: "right" },
  { title: "FREE", align: "right" },
  { title: "TOTAL", align: "right", leaveOut: 1 },
  { title: "FOLDER", leaveOut: 2 },
];

const PARTS: readonly Column[] = [
  { title: "WHAT", ...MODEL_NAME, minimum: 40 },
  { title: "OWN", align: "right" },
  { title: "SHARED", align: "right" },
  { title: "CHANGED", leaveOut: 1 },
];

export function addDiskVerb(program: Program, run: Run): void {
  program
    .command("disk")
    .summary("Show what is on the disks of the models.")
    .description(
      "Show what models, unfinished downloads and orphaned blobs take on each disk; of one agent also each of them. " +
        "gpuctl prune removes what is left over.",
    )
    .argument("[agent...]", "as for --agent: a name, pattern or range; default: all", parseAgents)
    .addHelpText("after", examples("disk", "disk gpu-1", "disk --json | jq '.agents[].usage.orphans_bytes'"))
    .action(async (named) => await run(showDisks, named));
}

async function showDisks(session: Session): Promise<number> {
  const { courier, printer, agents, io } = session;
  const views = await presentViews(session);
  const outcomes = await askEach(views, async (agent) => await courier.diskUsage(agent, { signal: io.signal }));
  if (printer.json) printer.document(diskDocument(outcomes));
  else printDisks(session, outcomes, agents !== undefined && outcomes.length === 1);
  return outcomesStatus(outcomes, io.signal);
}

/** All agents, unless some are named; one that is away is asked only by its name. */
export async function presentViews({ courier, agents }: Session): Promise<readonly AgentView[]> {
  const views = await courier.choose(agents ?? "all");
  const present = agents === undefined ? views.filter(({ online }) => online) : views;
  return present.length === 0 ? views : present;
}

function printDisks(session: Session, outcomes: readonly Outcome<ShownUsage>[], inDetail: boolean): void {
  const { printer, courier } = session;
  const rows = outcomes.flatMap(({ agent, answer }) => (answer === undefined ? [] : [usageRow(agent, answer)]));
  if (rows.length > 0) printer.table(COLUMNS, rows);
  const failed = outcomes.filter(({ error }) => error !== undefined);
  if (failed.length > 0) printOutcomes(session, failed, "RESULT", () => "");
  for (const { agent, answer } of outcomes)
    if (answer?.note !== undefined) printer.note(`${agent}: orphans may be wrong`, answer.note);
  const [only] = outcomes;
  if (!inDetail || only?.answer === undefined) return;
  printer.table(PARTS, partRows(only.answer, courier.now()));
  const { truncated = [] } = only.answer;
  if (truncated.length > 0) printer.note(`Not all ${truncated.join(", ")} are listed; the sums are of everything`);
}

function usageRow(agent: string, usage: ShownUsage): string[] {
  const { models_bytes, partials_bytes, orphans_bytes, free_bytes, total_bytes, path } = usage;
  const bytes = [models_bytes, partials_bytes, orphans_bytes, free_bytes, total_bytes].map((each) => formatBytes(each));
  return [agent, ...bytes, path];
}

function partRows({ models, partials, orphans }: ShownUsage, nowMs: number): string[][] {
  const leftovers = [
    ...partials.map((each) => ({ ...each, what: "download" })),
    ...orphans.map((each) => ({ ...each, what: "orphan" })),
  ];
  return [
    ...models.map(({ name, own_bytes, shared_bytes }) => [name, formatBytes(own_bytes), formatBytes(shared_bytes), ""]),
    ...leftovers.map(({ what, digest, model, bytes, changed_at }) => {
      const name = `${what} ${digest.replace("sha256:", "").slice(0, 12)}${model === null ? "" : ` of ${model}`}`;
      return [name, formatBytes(bytes), "", formatAgo(changed_at, nowMs)];
    }),
  ];
}
