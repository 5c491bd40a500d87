// The document about a model in its registry that `/v1` serves and `gpuctl --json` prints: its sizes, and which boxes it fits.
import { z } from "zod";
import { isoTime } from "../../base/clock.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { awayEntry } from "../../courier/unavailable.ts";
import { FIT_ASSUMPTION, FIT_VERDICTS, type Fit, fitOf } from "../../program/registry/model_fit.ts";
import type { PublishedModels } from "../../program/registry/published.ts";
import { AgentName, type State } from "../../protocol.ts";
import { Bytes, Instant, orNull } from "../named.ts";
import { unavailableAgents, unavailableField } from "../unavailable.ts";

const Verdict = z.enum(FIT_VERDICTS).meta({ id: "FitVerdict" });

export const FitDocument = z
  .object({
    verdict: orNull(Verdict).meta({ description: "With nothing else loaded" }),
    verdict_now: orNull(Verdict).meta({ description: "Beside what uses the memory at this moment" }),
    reason: orNull(z.string()).meta({ description: "Why `verdict` is null" }),
    needed_bytes: orNull(Bytes).meta({ description: "The weights, and what is added to them" }),
    gpu_bytes: orNull(Bytes).meta({ description: "Of all GPUs together" }),
    gpu_free_bytes: orNull(Bytes),
  })
  .meta({
    id: "Fit",
    description: `Whether a model fits the GPUs of a box. null: unknown. Nothing is refused by it: it is ${FIT_ASSUMPTION}.`,
  });
export type FitDocument = z.infer<typeof FitDocument>;

export const ModelFitDocument = z
  .object({
    name: z.string(),
    state: z.enum(["published", "missing", "unknown"]),
    reason: orNull(z.string()).meta({ description: "Why the state is `unknown`" }),
    digest: orNull(z.string()),
    size: orNull(Bytes),
    weights_bytes: orNull(Bytes),
    checked_at: Instant,
    assumption: z.string().meta({ description: "What the verdicts count with" }),
    agents: z.array(FitDocument.extend({ agent: AgentName })),
    unavailable: unavailableAgents,
  })
  .meta({
    id: "ModelFit",
    description:
      "A model as its registry has it now. `missing`: it has no such model. Unless it is `published`, digest and sizes are " +
      "null and `agents` is empty; `weights_bytes` is null also if its manifest marks no layer as weights.",
  });
export type ModelFitDocument = z.infer<typeof ModelFitDocument>;

/** @param model in Ollama's form */
export async function readFit(
  published: Pick<PublishedModels, "ask">,
  model: string,
  views: readonly AgentView[],
): Promise<ModelFitDocument> {
  const answers = await published.ask([{ name: model, digest: "", gotAtMs: 0 }]);
  const answer = answers.get(model.toLowerCase());
  if (answer === undefined) throw new Error(`No answer about ${model}`);
  const about = { name: model, checked_at: isoTime(answer.checkedAtMs), assumption: FIT_ASSUMPTION };
  if (answer.kind !== "manifest") {
    const nothing = { digest: null, size: null, weights_bytes: null, agents: [] };
    const state = answer.kind === "none" ? "missing" : "unknown";
    return { ...about, state, reason: answer.kind === "none" ? null : answer.reason, ...nothing };
  }
  const { digest, totalBytes: size, weightsBytes } = answer;
  const [present, away] = [views.filter(({ online }) => online), views.filter(({ online }) => !online)];
  return {
    ...about,
    state: "published",
    reason: null,
    digest,
    size,
    weights_bytes: weightsBytes,
    agents: present.map(({ agent, state }) => ({ agent, ...fitDocument(weightsBytes, state) })),
    ...unavailableField(away.map((view) => awayEntry(view))),
  };
}

export const FitCounts = z
  .object({
    fits: z.int().nonnegative(),
    fits_partly: z.int().nonnegative(),
    does_not_fit: z.int().nonnegative(),
    unknown: z.int().nonnegative(),
  })
  .meta({ id: "FitCounts", description: `How many boxes a model fits, with nothing else loaded: ${FIT_ASSUMPTION}.` });
export type FitCounts = z.infer<typeof FitCounts>;

/** @param views of agents; those that are offline count as they were last seen */
export function countFits(weightsBytes: number, views: readonly AgentView[]): FitCounts {
  const counts = { fits: 0, fits_partly: 0, does_not_fit: 0, unknown: 0 };
  for (const { state } of views) counts[COUNTED[fitDocument(weightsBytes, state).verdict ?? "unknown"]] += 1;
  return counts;
}

const COUNTED = {
  fits: "fits",
  "fits partly: the rest runs on the CPU": "fits_partly",
  "does not fit": "does_not_fit",
  unknown: "unknown",
} as const;

/** @param state null: a legacy service, which publishes no GPUs */
export function fitDocument(weightsBytes: number | null, state: Pick<State, "gpus" | "memory"> | null): FitDocument {
  const fit = fitOf(weightsBytes, { gpus: state?.gpus ?? [], memory: state?.memory ?? null });
  return documentOf(state === null ? { ...fit, reason: "a legacy service does not show its GPUs" } : fit);
}

function documentOf({ verdict, verdictNow, reason, neededBytes, gpuBytes, gpuFreeBytes }: Fit): FitDocument {
  return {
    verdict,
    verdict_now: verdictNow,
    reason,
    needed_bytes: neededBytes,
    gpu_bytes: gpuBytes,
    gpu_free_bytes: gpuFreeBytes,
  };
}
