// The document about newer models that `/v1` serves and `gpuctl --json` prints: what registries have now of the models of the fleet.
import { z } from "zod";
import { instantMs, isoTime } from "../../base/clock.ts";
import { matchesGlob } from "../../base/glob.ts";
import { isCloudName } from "../../base/model_name.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import type { FleetModels } from "../../courier/models.ts";
import type { Published, PublishedModels } from "../../program/registry/published.ts";
import { AgentName } from "../../protocol.ts";
import { Bytes, Instant, orNull } from "../named.ts";
import { unavailableAgents, unavailableField } from "../unavailable.ts";
import { type AskAgent, AskedAgents } from "./asked_agents.ts";

export const UpdateDocument = z
  .object({
    name: z.string(),
    digest: z.string(),
    size: Bytes,
    agents: z.array(AgentName),
    state: z.enum(["current", "outdated", "local", "unknown"]),
    registry_digest: orNull(z.string()),
    registry_size: orNull(Bytes),
    checked_at: Instant,
    reason: orNull(z.string()),
  })
  .meta({
    id: "Update",
    description:
      "An installed model compared with its registry. `outdated`: the registry has another one under this name. `local`: it " +
      "has no such model, as for a copy or a model that was built on the box. `unknown`: see `reason`. `digest` and `size` are " +
      "those of the model on these agents.",
  });
export type UpdateDocument = z.infer<typeof UpdateDocument>;

export const UpdatesDocument = z
  .object({ updates: z.array(UpdateDocument), unavailable: unavailableAgents })
  .meta({ id: "Updates" });
export type UpdatesDocument = z.infer<typeof UpdatesDocument>;

/** The ones to look at come first. */
const ORDER: readonly UpdateDocument["state"][] = ["outdated", "unknown", "local", "current"];

/**
 * Compares models with their registries, each name once. A model that Ollama runs on another host has no manifest there, and
 * is left out.
 * @param pattern only names that it matches; upper and lower case name the same model
 * @param askAgent for models whose registry is not reached from here
 */
export async function readUpdates(
  published: Pick<PublishedModels, "ask">,
  { models, unavailable }: FleetModels,
  pattern = "*",
  askAgent?: AskAgent,
): Promise<UpdatesDocument> {
  const wanted = pattern.toLowerCase();
  const compared = models.filter(
    ({ name, remote_host }) =>
      remote_host === undefined && !isCloudName(name) && matchesGlob(wanted, name.toLowerCase()),
  );
  const held = compared.map(({ name, digest, modified_at, clockOffsetMs }) => ({
    name,
    digest,
    gotAtMs: instantMs(modified_at) + clockOffsetMs,
  }));
  const answers = await published.ask(held, askAgent && new AskedAgents(compared, askAgent));
  const updates = compared.flatMap((model) => {
    const answer = answers.get(model.name.toLowerCase());
    return answer === undefined ? [] : [updateOf(model, answer)];
  });
  const place = ({ state }: UpdateDocument): number => ORDER.indexOf(state);
  return { updates: updates.toSorted((a, b) => place(a) - place(b)), ...unavailableField(unavailable) };
}

function updateOf({ name, digest, size, agents }: FleetModel, answer: Published): UpdateDocument {
  const own = { name, digest, size, agents: [...agents], checked_at: isoTime(answer.checkedAtMs) };
  const nothing = { registry_digest: null, registry_size: null, reason: null };
  if (answer.kind === "none") return { ...own, state: "local", ...nothing };
  if (answer.kind === "unknown") return { ...own, state: "unknown", ...nothing, reason: answer.reason };
  const state = answer.digest === digest ? "current" : "outdated";
  return { ...own, state, registry_digest: answer.digest, registry_size: answer.totalBytes, reason: null };
}
