// What the registries have now of the models that the file names, asked for now and then.
import { type Clock, instantMs } from "../../../base/clock.ts";
import { isCloudName } from "../../../base/model_name.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import type { DesiredFleet } from "../../../program/desired/fleet_file.ts";
import type { HeldModel, Published, PublishedModels } from "../../../program/registry/published.ts";
import type { Model } from "../../../protocol.ts";

export interface RegistryAnswersDeps {
  readonly publishedModels: Pick<PublishedModels, "ask">;
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
    const { publishedModels, clock } = this.#deps;
    if (clock.monotonic() - this.#askedMs < EVERY_MS) return false;
    this.#askedMs = clock.monotonic();
    const named = new Set(models.map(({ name }) => name.toLowerCase()));
    const held = Map.groupBy(
      views.flatMap((view) => heldBy(view, named)),
      ({ name }) => name.toLowerCase(),
    );
    const asked = models.flatMap(({ name, digest }): readonly HeldModel[] => {
      if (isCloudName(name)) return [];
      const having = held.get(name.toLowerCase()) ?? [];
      // Of one that is pinned it matters before any box has it.
      return having.length === 0 && digest !== null ? [{ name, digest: "", gotAtMs: 0 }] : having;
    });
    this.#answers = await publishedModels.ask(asked);
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

function heldBy({ state }: AgentView, named: ReadonlySet<string>): readonly HeldModel[] {
  const offsetMs = state?.clock_offset_ms ?? 0;
  const own = (state?.models ?? []).filter(
    ({ name, remote_host }) => remote_host === undefined && named.has(name.toLowerCase()),
  );
  return own.map(({ name, digest, modified_at }) => ({ name, digest, gotAtMs: instantMs(modified_at) + offsetMs }));
}
