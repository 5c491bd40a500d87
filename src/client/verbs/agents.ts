// The verb agents.

import { CLOCK_OFF_MS } from "../../base/clock.ts";
import { formatAgo, formatBytes, formatOffset } from "../../base/format.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { describeView, hasDocument } from "../../courier/describe_view.ts";
import type { AgentDocument, AgentsDocument } from "../../documents/agents.ts";
import { flag } from "../../program/flags.ts";
import type { Tone } from "../../program/style.ts";
import type { Gpu } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import { parseAgents } from "../output/agent_names.ts";
import type { Column } from "../output/table.ts";
import type { Run, Session } from "../session.ts";

/** `online, Ollama is not reachable: connection refused` has 51; another reason may have hundreds. */
const STATUS_CHARS = 52;

const AGENT_COLUMNS: readonly Column[] = [
  { title: "AGENT" },
  { title: "STATUS", flexible: true, cut: true, usual: STATUS_CHARS, tone: statusTone },
  { title: "MODELS", align: "right", leaveOut: 1 },
  { title: "JOBS", align: "right" },
  { title: "FREE DISK", align: "right", leaveOut: 2 },
  { title: "OLLAMA", leaveOut: 3 },
  { title: "VERSION", leaveOut: 4 },
];
const WIDE_COLUMNS: readonly Column[] = [
  { title: "GPUS" },
  { title: "FREE GPU MEMORY" },
  { title: "FREE MEMORY" },
  { title: "PLATFORM" },
  { title: "LABELS" },
];

export function addAgentsVerb(program: Program, run: Run): void {
  program
    .command("agents")
    .description("List the agents and their status.")
    .argument("[agent...]", "as for --agent: a name, pattern or range; default: all", parseAgents)
    .addOption(flag("--wide", "show everything, wider than the terminal: GPUs, memory, platform and labels too"))
    .addHelpText(
      "after",
      examples(
        "agents",
        "agents 'gpu-[1-3]' --wide",
        "agents --json | jq '.agents[] | select(.status == \"offline\")'",
      ),
    )
    .action(
      async (named, { wide = false }) => await run(async (session) => await listAgents(session, { wide }), named),
    );
}

async function listAgents(session: Session, { wide }: { readonly wide: boolean }): Promise<number> {
  const { courier, share, printer, agents } = session;
  const views = agents === undefined || agents === "all" ? await courier.agents() : await courier.choose(agents);
  if (printer.json) {
    printer.document({ agents: views.map((view) => courier.document(view)) } satisfies AgentsDocument);
  } else if (views.length === 0) {
    const start = "Start gpu-agent on a GPU machine that mounts";
    if (share === null) printer.note(`${courier.description} shows no agent`, `${start} the share of gpu-server`);
    else printer.note(`No agent has published its state in ${courier.description}`, `${start} this share`);
  } else {
    const rows = views.map((view) => {
      const row = agentRow(view, courier.document(view), courier.now());
      return wide ? [...row, ...wideCells(view)] : row;
    });
    if (wide) printer.table([...AGENT_COLUMNS, ...WIDE_COLUMNS], rows, Number.POSITIVE_INFINITY);
    else printer.table(AGENT_COLUMNS, rows);
  }
  return 0;
}

function agentRow(view: AgentView, { job_count }: AgentDocument, nowMs: number): string[] {
  const { agent, state, legacyState } = view;
  const status = statusText(view, nowMs);
  if (!hasDocument(view)) return [agent, status, "", "", "", "", ""];
  if (state === null) {
    const ollama = legacyState?.ollama_available === true ? "reachable" : "not reachable";
    return [agent, status, "", "", "", ollama, "legacy service"];
  }
  return [
    agent,
    status,
    String(state.model_count ?? ""),
    String(job_count ?? ""),
    state.disk === null ? "" : formatBytes(state.disk.free_bytes),
    state.ollama.version ?? "",
    state.agent_version,
  ];
}

function wideCells({ state }: AgentView): string[] {
  const { gpus = [], memory, platform, labels = {} } = state ?? {};
  return [
    gpuNames(gpus),
    gpuMemory(gpus),
    memory ? freeText(memory.available_bytes, memory.total_bytes) : "",
    platform === undefined ? "" : `${platform.os} ${platform.arch}`,
    Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(" "),
  ];
}

/** `2x NVIDIA H200`: boxes usually have several of a kind. */
function gpuNames(gpus: readonly Gpu[]): string {
  const counts = new Map<string, number>();
  for (const { name } of gpus) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${count}x ${name}`)).join(", ");
}

/** Of all GPUs together; empty where the driver does not know it of each. */
function gpuMemory(gpus: readonly Gpu[]): string {
  let [free, total] = [0, 0];
  for (const { memory_total_bytes, memory_used_bytes } of gpus) {
    if (memory_total_bytes === null || memory_used_bytes === null) return "";
    free += memory_total_bytes - memory_used_bytes;
    total += memory_total_bytes;
  }
  return gpus.length === 0 ? "" : freeText(free, total);
}

function freeText(freeBytes: number, totalBytes: number): string {
  return `${formatBytes(Math.max(0, freeBytes))} of ${formatBytes(totalBytes)}`;
}

function statusText(view: AgentView, nowMs: number): string {
  if (view.reason === "silent" || view.key?.trouble?.kind === "conflict") return describeView(view);
  if (view.reason === "stopped") return `stopped ${formatAgo(view.lastSeenAt, nowMs)}`;
  const parts = ["online", ...(view.reason === null ? [] : [describeView(view)]), ...clockText(view)];
  return parts.join(", ");
}

function statusTone(status: string): Tone {
  if (status === "online") return "good";
  return /(?:^|; )conflict: /.test(status) ? "bad" : "caution";
}

/** Empty unless the clock is off so far that the agent's times are misleading. */
function clockText({ state }: AgentView): string[] {
  const offsetMs = state?.clock_offset_ms ?? 0;
  return Math.abs(offsetMs) < CLOCK_OFF_MS ? [] : [`its clock ${formatOffset(offsetMs)}`];
}
