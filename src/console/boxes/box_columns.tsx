// The columns of the list of boxes.
import type { JSX } from "preact";
import type { AgentDocument } from "../../documents/agents.ts";
import { Meter } from "../parts/bar.tsx";
import { Status } from "../parts/status.tsx";
import type { Column } from "../parts/table.tsx";
import { Foreign, pairText, Size } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { gpuMemoryOf, isDiskLow, labelsOf } from "./box_facts.ts";
import { isAway, statusOf } from "./box_status.ts";

const ORDER = { bad: 0, warn: 1, idle: 2, busy: 3, good: 4 } as const;

const NAME: Column<AgentDocument> = {
  id: "name",
  title: "Box",
  width: "minmax(7rem, 1.1fr)",
  isPlain: true,
  sortBy: ({ agent }) => agent,
  cell: ({ agent }) => (
    <a class="row-link" href={addressOf("boxes", agent)}>
      {agent}
    </a>
  ),
};

const FIGURES: readonly Column<AgentDocument>[] = [
  {
    id: "models",
    title: "Models",
    width: "4.6rem",
    align: "right",
    sortBy: ({ model_count: count }) => count,
    cell: ({ model_count: count }) => (count === null ? <Unknown /> : count),
  },
  {
    id: "jobs",
    title: "Jobs",
    width: "3.8rem",
    align: "right",
    sortBy: ({ job_count: count }) => count,
    cell: ({ job_count: count }) =>
      count === null ? <Unknown /> : count === 0 ? <span class="nothing">0</span> : count,
  },
  {
    id: "disk",
    title: "Free disk",
    width: "6.4rem",
    align: "right",
    sortBy: ({ disk }) => disk?.free_bytes ?? null,
    cell: (box) => <DiskCell box={box} />,
  },
  {
    id: "gpu",
    title: "GPU memory used",
    width: "minmax(8.5rem, 1fr)",
    sortBy: (box) => gpuMemoryOf(box)?.used ?? null,
    cell: (box) => <GpuCell box={box} />,
  },
  {
    id: "version",
    title: "Agent, Ollama",
    width: "7.2rem",
    sortBy: ({ agent_version: version }) => version,
    cell: ({ agent_version: version, ollama }) => (
      <span class="versions">
        <Foreign text={version ?? "legacy"} />
        <span class="quiet">
          <Foreign text={ollama.version ?? "unknown"} />
        </span>
      </span>
    ),
  },
  {
    id: "labels",
    title: "Labels",
    width: "minmax(6rem, 1.9fr)",
    isPlain: true,
    cell: (box) => <Labels box={box} />,
  },
];

/** @param nowMs by the clock of the server */
export function boxColumns(nowMs: number): readonly Column<AgentDocument>[] {
  const status: Column<AgentDocument> = {
    id: "status",
    title: "Status",
    width: "minmax(10rem, 3fr)",
    isPlain: true,
    sortBy: (box) => `${ORDER[statusOf(box, nowMs).tone]} ${statusOf(box, nowMs).words}`,
    cell: (box) => <StatusCell box={box} nowMs={nowMs} />,
  };
  return [NAME, status, ...FIGURES];
}

function StatusCell({ box, nowMs }: { readonly box: AgentDocument; readonly nowMs: number }): JSX.Element {
  const { tone, words, reason } = statusOf(box, nowMs);
  return (
    <Status tone={tone}>
      {words}
      {reason !== "" && <Foreign class="quiet reason" text={reason} />}
    </Status>
  );
}

function DiskCell({ box: { disk, agent } }: { readonly box: AgentDocument }): JSX.Element {
  if (disk === null) return <Unknown />;
  const free = disk.total_bytes === 0 ? 0 : disk.free_bytes / disk.total_bytes;
  const isLow = isDiskLow(disk);
  // The bar shows what the number and the heading name: what is free.
  return (
    <span class={isLow ? "stacked low" : "stacked"}>
      <Size bytes={disk.free_bytes} />
      <Meter value={free} isWarning={isLow} label={`Disk of ${agent}: ${Math.round(free * 100)} % free`} />
    </span>
  );
}

function GpuCell({ box }: { readonly box: AgentDocument }): JSX.Element {
  const memory = gpuMemoryOf(box);
  if (memory === null) return box.gpus?.length === 0 ? <span class="quiet">No GPU</span> : <Unknown />;
  const text = pairText(memory.used, memory.total);
  return (
    <span class="stacked">
      <span class="pair">{text}</span>
      <Meter
        value={memory.total === 0 ? 0 : memory.used / memory.total}
        label={`GPU memory of ${box.agent}: ${text} used`}
      />
    </span>
  );
}

export function Labels({ box }: { readonly box: AgentDocument }): JSX.Element {
  return (
    <span class="labels">
      {labelsOf(box).map((label) => (
        <Foreign key={label} class="label" text={label} />
      ))}
    </span>
  );
}

function Unknown(): JSX.Element {
  return (
    <span class="nothing" title="Unknown">
      <span aria-hidden="true">–</span>
      <span class="only-read">unknown</span>
    </span>
  );
}

export function rowClassOf(box: AgentDocument): string {
  return isAway(box) ? "away" : "";
}
