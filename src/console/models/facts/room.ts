// Whether a box takes a model: its free disk, and whether it takes commands now.
import { formatBytes } from "../../../base/format.ts";
import type { AgentDocument } from "../../../documents/agents.ts";
import type { JobDocument } from "../../../documents/jobs.ts";
import { isActive } from "../../store/job_facts.ts";
import { whereText } from "./model_facts.ts";

/** The free disk of a box without what its active pulls still need; null: unknown. */
export function roomOn({ agent, disk }: AgentDocument, jobs: readonly JobDocument[]): number | null {
  if (disk === null) return null;
  const pulling = jobs.filter((job) => job.agent === agent && isActive(job));
  const needed = pulling.reduce((sum, job) => sum + Math.max(0, (job.total_bytes ?? 0) - job.completed_bytes), 0);
  return Math.max(0, disk.free_bytes - needed);
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/** `9.1 GB`, as the catalog has it for people; null: something else. */
export function bytesIn(text: string): number | null {
  const [, number = "", unit = ""] = /^([\d.]+)\s*([kKMGT]?B)$/.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toUpperCase()];
  const value = Number(number);
  return factor === undefined || number === "" || Number.isNaN(value) ? null : value * factor;
}

interface Verdict {
  /** Null: nobody knows. */
  readonly fits: boolean | null;
  readonly words: string;
}

/** Whether a model fits, in words. The box itself decides: it also keeps a reserve. */
export function verdictOf(size: number | null, room: number | null): Verdict {
  if (size === null || room === null) return { fits: null, words: "" };
  if (size > room) return { fits: false, words: `too large, ${formatBytes(size - room)} missing` };
  return { fits: true, words: `fits, leaves ${formatBytes(room - size)}` };
}

interface Room {
  readonly name: string;
  readonly room: number | null;
}

/**
 * Whether a model fits on all of these boxes, with the figure of the tightest one. It names boxes only where some of them are too
 * small: the names of all are in the heading of the list.
 */
export function verdictOn(size: number | null, rooms: readonly Room[]): Verdict {
  const known = rooms.flatMap(({ name, room }) =>
    room === null || size === null ? [] : [{ name, left: room - size }],
  );
  const [tightest] = known.toSorted((a, b) => a.left - b.left);
  if (tightest === undefined) return { fits: null, words: "" };
  const small = known.filter(({ left }) => left < 0);
  if (small.length > 0) {
    const where = rooms.length === 1 ? "" : ` for ${whereText(small.map(({ name }) => name))}`;
    const most = small.length === 1 ? "" : "up to ";
    return { fits: false, words: `too large${where}, ${most}${formatBytes(-tightest.left)} missing` };
  }
  if (known.length < rooms.length) return { fits: null, words: "" };
  const least = known.length === 1 ? "leaves" : "leaves at least";
  return { fits: true, words: `fits, ${least} ${formatBytes(tightest.left)} free` };
}

/** Why it takes no commands now; undefined: it does. */
export function refusalOf({ status, reason }: AgentDocument): string | undefined {
  if (status === "offline") return "away";
  if (reason === "ollama_down") return "its Ollama is not running";
  if (reason === "draining") return "is stopping";
  return reason === "degraded" ? "takes no commands now" : undefined;
}
