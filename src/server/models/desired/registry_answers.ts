// What the registries have now of the models that the file names, asked for now and then.
import { type Clock, instantMs } from "../../../base/clock.ts";
import { isCloudName } from "../../../base/model_name.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import type { FleetModel } from "../../../courier/fleet_model.ts";
import { type AgentModels, mergeModels, publishedModels } from "../../../courier/models.ts";
import type { Courier } from "../../../courier.ts";
import { type AskAgent, AskedAgents } from "../../../documents/models/asked_agents.ts";
import type { DesiredFleet, DesiredModel } from "../../../program/desired/fleet_file.ts";
import type { HeldModel, Published, PublishedModels } from "../../../program/registry/published.ts";
import type { Model } from "../../../protocol.ts";

export interface RegistryAnswersDeps {
  readonly publishedModels: Pick<PublishedModels, "ask">;
  /** For the registries that only boxes reach. */
  readonly courier: Pick<Courier, "publishedModel">;
  readonly clock: Pick<Clock, "monotonic">;
}

/** `PublishedModels` keeps an answer for hours, and asks again where a box seems to be ahead of it, or it failed. */
const EVERY_MS = 10 * 60_000;

export class RegistryAnswers {
  readonly #deps: RegistryAnswersDeps;
  #answers: ReadonlyMap<string, Published> = new Map();
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(deps: RegistryAnswersDeps) {
    this.#deps = deps;
  }

  /** Another file is in force. */
  expire(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY;
  }

  /** Asks if that is due, once for each name. Never rejects. @returns whether it asked */
  async refresh({ models }: DesiredFleet, views: readonly AgentView[]): Promise<boolean> {
    const { publishedModels: registries, courier, clock } = this.#deps;
    if (clock.monotonic() - this.#askedMs < EVERY_MS) return false;
    this.#askedMs = clock.monotonic();
    const named = new Set(models.map(({ name }) => name.toLowerCase()));
    const copies = mergeModels(views.flatMap((view) => namedModels(view, named)));
    const askAgent: AskAgent = async (of, model, options) => await courier.publishedModel(of, model, options);
    this.#answers = await registries.ask(askedOf(models, copies), new AskedAgents(copies, askAgent));
    return true;
  }

  /** Whether a registry has replaced this model of a box. Not where the box got it after the registry was asked. */
  isOutdated(model: Model, offsetMs: number): boolean {
    const answer = this.#answers.get(model.name.toLowerCase());
    if (answer?.kind !== "manifest" || model.remote_host !== undefined) return false;
    return answer.digest !== model.digest && instantMs(model.modified_at) + offsetMs < answer.checkedAtMs;
  }

  /** Why a pull would not bring the digest that the file wants; null: it may. */
  reasonAgainst(name: string, wanted: string): string | null {
    const answer = this.#answers.get(name.toLowerCase());
    if (answer === undefined) return isCloudName(name) ? null : "Its registry is asked first";
    if (answer.kind !== "manifest" || answer.digest.startsWith(wanted)) return null;
    return `Its registry has another digest than the file: ${answer.digest.slice(0, 12)}`;
  }
}

/** Of a model that is pinned it matters before any box has it. */
function askedOf(models: readonly DesiredModel[], copies: readonly FleetModel[]): readonly HeldModel[] {
  const byName = Map.groupBy(copies, ({ name }) => name.toLowerCase());
  return models.flatMap(({ name, digest: pinned }) => {
    const held = byName.get(name.toLowerCase()) ?? [];
    if (isCloudName(name) || (held.length === 0 && pinned === null)) return [];
    if (held.length === 0) return [{ name, digest: "", gotAtMs: 0 }];
    return held.map(({ digest, modified_at, clockOffsetMs }) => ({
      name,
      digest,
      gotAtMs: instantMs(modified_at) + clockOffsetMs,
    }));
  });
}

/** Those that Ollama runs on another host have no manifest in a registry. */
function namedModels(view: AgentView, named: ReadonlySet<string>): readonly AgentModels[] {
  const own = publishedModels(view);
  if (own === undefined) return [];
  const isAsked = ({ name, remote_host }: Model): boolean => remote_host === undefined && named.has(name.toLowerCase());
  return [{ ...own, models: own.models.filter(isAsked) }];
}
