// Whether a model fits the GPUs of a box, by the weights that its manifest names. An estimate for people: nothing is refused by it.
import { formatBytes } from "../../base/format.ts";
import type { Gpu, Memory } from "../../protocol.ts";

export const FIT_VERDICTS = ["fits", "fits partly: the rest runs on the CPU", "does not fit"] as const;
type Verdict = (typeof FIT_VERDICTS)[number];

/** What the state of a box shows of its memory. */
export interface FitBox {
  readonly gpus: readonly Pick<Gpu, "memory_total_bytes" | "memory_used_bytes">[];
  readonly memory: Memory | null;
}

export interface Fit {
  /** With nothing else loaded. Null: unknown. */
  readonly verdict: Verdict | null;
  /** Beside what uses the memory at this moment. Null: unknown. */
  readonly verdictNow: Verdict | null;
  /** Why `verdict` is null, for people; null: it is known. */
  readonly reason: string | null;
  /** The weights and what is added to them; null: the weights are unknown. */
  readonly neededBytes: number | null;
  /** Of all GPUs together; null: unknown. */
  readonly gpuBytes: number | null;
  readonly gpuFreeBytes: number | null;
}

/** The smallest default of Ollama 0.32; with 24 GiB or more on GPUs it takes a longer context by itself. */
const CONTEXT_TOKENS = 4096;
/** A context of that length takes 3 to 23 % of the weights for models with grouped attention, and most of them about 10 %. */
const CONTEXT_SHARE = 0.1;
/** Buffers and the driver's own memory, on each GPU that has a part of the model. */
const BYTES_PER_GPU = 500_000_000;

/** Shown beside every verdict: estimates of this kind, the published ones too, err by far. */
export const FIT_ASSUMPTION =
  `an estimate: weights, ${CONTEXT_SHARE * 100} % for a context of ${CONTEXT_TOKENS} tokens, and ` +
  `${formatBytes(BYTES_PER_GPU)} per GPU`;

interface Room {
  /** Of each GPU; null: unknown. */
  readonly gpus: readonly number[] | null;
  readonly memory: number | null;
}

/** @param weightsBytes null: unknown */
export function fitOf(weightsBytes: number | null, { gpus, memory }: FitBox): Fit {
  const whole: Room = { gpus: known(gpus.map((gpu) => gpu.memory_total_bytes)), memory: memory?.total_bytes ?? null };
  const free: Room = { gpus: known(gpus.map(freeBytes)), memory: memory?.available_bytes ?? null };
  const bytes = { gpuBytes: sumOf(whole.gpus), gpuFreeBytes: sumOf(free.gpus) };
  if (weightsBytes === null)
    return { ...bytes, verdict: null, verdictNow: null, reason: "its manifest names no weights", neededBytes: null };
  const verdict = judge(weightsBytes, whole);
  return {
    ...bytes,
    verdict,
    verdictNow: judge(weightsBytes, free),
    reason: verdict === null ? unknownReason(whole) : null,
    neededBytes: needed(weightsBytes, whole.gpus ?? []),
  };
}

/** Why a pull may disappoint, for people; null: the model fits, or nothing speaks against it. */
export function fitNote({ verdict, neededBytes, gpuBytes }: Fit, { memory }: FitBox): string | null {
  if (verdict === "fits" || neededBytes === null || gpuBytes === null || neededBytes <= gpuBytes) return null;
  const sizes = `about ${formatBytes(neededBytes)} with a context of ${CONTEXT_TOKENS} tokens, the GPUs have ${formatBytes(gpuBytes)}`;
  if (verdict === null) return `larger than the memory of this box's GPUs: ${sizes}`;
  return `${verdict} (${sizes}${memory === null ? "" : `, the box ${formatBytes(memory.total_bytes)}`})`;
}

function judge(weightsBytes: number, { gpus, memory }: Room): Verdict | null {
  // A box without GPUs that can be seen may have some of another maker, or none.
  if (gpus === null || gpus.length === 0) return null;
  const rest = needed(weightsBytes, gpus) - (sumOf(gpus) ?? 0);
  if (rest <= 0) return "fits";
  if (memory === null) return null;
  return rest <= memory ? "fits partly: the rest runs on the CPU" : "does not fit";
}

/** On one GPU if one is large enough, as Ollama loads it, otherwise on all of them. */
function needed(weightsBytes: number, gpus: readonly number[]): number {
  const bytes = Math.round(weightsBytes * (1 + CONTEXT_SHARE));
  const onOne = bytes + BYTES_PER_GPU;
  return gpus.some((gpu) => gpu >= onOne) ? onOne : bytes + BYTES_PER_GPU * Math.max(1, gpus.length);
}

function unknownReason({ gpus }: Room): string {
  if (gpus === null) return "the memory of a GPU is unknown, as where it shares that of the box";
  if (gpus.length === 0) return "no NVIDIA GPU is known on this box";
  return "larger than its GPUs, and the memory of the box is unknown";
}

function freeBytes({ memory_total_bytes: total, memory_used_bytes: used }: FitBox["gpus"][number]): number | null {
  return total === null || used === null ? null : Math.max(0, total - used);
}

function known(bytes: readonly (number | null)[]): readonly number[] | null {
  const found = bytes.filter((each) => each !== null);
  return found.length === bytes.length ? found : null;
}

function sumOf(bytes: readonly number[] | null): number | null {
  return bytes === null || bytes.length === 0 ? null : bytes.reduce((sum, each) => sum + each, 0);
}
