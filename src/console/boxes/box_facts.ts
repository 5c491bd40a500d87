// Figures of a box, and what the filter looks at.
import { formatOffset } from "../../base/format.ts";
import type { AgentDocument } from "../../documents/agents.ts";

interface Used {
  readonly used: number;
  readonly total: number;
}

/** Of all its GPUs together; null: unknown, or there is no GPU. */
export function gpuMemoryOf({ gpus }: Pick<AgentDocument, "gpus">): Used | null {
  const known = (gpus ?? []).filter((gpu) => gpu.memory_total_bytes !== null && gpu.memory_used_bytes !== null);
  if (known.length === 0) return null;
  const sum = (read: (gpu: (typeof known)[number]) => number | null): number =>
    known.reduce((all, gpu) => all + (read(gpu) ?? 0), 0);
  return { used: sum((gpu) => gpu.memory_used_bytes), total: sum((gpu) => gpu.memory_total_bytes) };
}

/** Less than a tenth is free. */
export function isDiskLow({ free_bytes: free, total_bytes: total }: NonNullable<AgentDocument["disk"]>): boolean {
  return free <= total / 10;
}

/** `site=berlin`, or the key alone where the value is empty. */
export function labelsOf({ labels }: AgentDocument): readonly string[] {
  return Object.entries(labels ?? {}).map(([key, value]) => (value === "" ? key : `${key}=${value}`));
}

/** What the filter looks at. */
export function searchedText(box: AgentDocument): string {
  const gpus = (box.gpus ?? []).map(({ name }) => name);
  const versions = [box.agent_version ?? "", box.ollama.version ?? ""];
  return [box.agent, ...labelsOf(box), ...gpus, ...versions].join(" ").toLowerCase();
}

/** Empty while the clock of the box is right. */
export function clockTrouble({ clock_offset_ms: offset }: AgentDocument): string {
  return offset !== null && Math.abs(offset) > 5_000 ? `Its clock is ${formatOffset(offset)}` : "";
}
