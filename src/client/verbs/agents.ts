// The verb agents.

import { CLOCK_OFF_MS } from "../../base/clock.ts";
import { formatAgo, formatBytes, formatOffset } from "../../base/format.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { describeView } from "../../courier/describe_view.ts";
import { agentsDocument } from "../../documents/agents.ts";
import { isEnded } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import type { Column } from "../output/table.ts";
import type { Run, Session } from "../session.ts";

const AGENT_COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "STATUS", flexible: true },
  { title: "MODELS", align: "right" },
  { title: "JOBS", align: "right" },
  { title: "FREE DISK", align: "right" },
  { title: "OLLAMA" },
  { title: "VERSION" },
];

export function addAgentsVerb(program: Program, run: Run): void {
  program
    .command("agents")
    .description("List the agents and their status.")
    .addHelpText("after", examples("agents", "agents --json | jq '.agents[] | select(.status == \"offline\")'"))
    .action(async () => await run(listAgents));
}

async function listAgents(session: Session): Promise<number> {
  const { courier, printer, transport, agents } = session;
  const views = agents === undefined || agents === "all" ? await courier.agents() : await courier.choose(agents);
  if (printer.json) {
    printer.document(agentsDocument(views));
  } else if (views.length === 0) {
    printer.note(`No agent has published its state in ${transport.description}`);
    printer.note("  Start gpu-agent on a GPU machine that mounts this share");
  } else {
    printer.table(
      AGENT_COLUMNS,
      views.map((view) => agentRow(view, transport.now())),
    );
  }
  return 0;
}

function agentRow(view: AgentView, nowMs: number): string[] {
  const { agent, state, legacyState } = view;
  const status = statusText(view, nowMs);
  if (state === null) {
    const ollama = legacyState?.ollama_available === true ? "reachable" : "not reachable";
    return [agent, status, "", "", "", ollama, "legacy service"];
  }
  return [
    agent,
    status,
    String(state.model_count ?? ""),
    String(state.jobs.filter((job) => !isEnded(job)).length),
    state.disk === null ? "" : formatBytes(state.disk.free_bytes),
    state.ollama.version ?? "",
    state.agent_version,
  ];
}

function statusText(view: AgentView, nowMs: number): string {
  if (view.reason === "silent") return describeView(view);
  if (view.reason === "stopped") return `stopped ${formatAgo(view.lastSeenAt, nowMs)}`;
  const parts = ["online", ...(view.reason === null ? [] : [describeView(view)]), ...clockText(view)];
  return parts.join(", ");
}

/** Empty unless the clock is off so far that the agent's times are misleading. */
function clockText({ state }: AgentView): string[] {
  const offsetMs = state?.clock_offset_ms ?? 0;
  return Math.abs(offsetMs) < CLOCK_OFF_MS ? [] : [`its clock ${formatOffset(offsetMs)}`];
}
