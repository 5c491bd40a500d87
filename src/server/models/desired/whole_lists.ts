// The models of boxes whose lists are too long for their states: such a box is asked, once in a while.
import type { Clock } from "../../../base/clock.ts";
import { Slots } from "../../../base/slots.ts";
import type { AgentView } from "../../../courier/agent_view.ts";
import type { Courier } from "../../../courier.ts";
import type { Model } from "../../../protocol.ts";

export interface WholeListsDeps {
  readonly courier: Pick<Courier, "listModels">;
  readonly clock: Pick<Clock, "monotonic">;
}

const KEPT_MS = 60_000;
const AT_ONCE = 8;

export class WholeLists {
  readonly #deps: WholeListsDeps;
  readonly #slots = new Slots(AT_ONCE);
  readonly #kept = new Map<string, { readonly models: readonly Model[]; readonly atMs: number }>();

  constructor(deps: WholeListsDeps) {
    this.#deps = deps;
  }

  /** These views with whole lists of models; one that cannot be asked stays as it is. Never rejects. */
  async fill(views: readonly AgentView[], signal: AbortSignal): Promise<readonly AgentView[]> {
    if (!views.some(isCut)) return views;
    return await Promise.all(
      views.map(async (view) =>
        isCut(view) ? await this.#slots.run(async () => await this.#whole(view, signal)) : view,
      ),
    );
  }

  async #whole(view: AgentView, signal: AbortSignal): Promise<AgentView> {
    const { agent, state } = view;
    const { courier, clock } = this.#deps;
    const kept = this.#kept.get(agent);
    const isFresh = kept !== undefined && clock.monotonic() - kept.atMs < KEPT_MS;
    const models = isFresh ? kept.models : await modelsOf(courier, agent, signal);
    if (models === null || state === null) return view;
    if (!isFresh) this.#kept.set(agent, { models, atMs: clock.monotonic() });
    const truncated = state.truncated.filter((name) => name !== "models");
    return { ...view, state: { ...state, models: [...models], truncated } };
  }
}

function isCut({ online, state }: AgentView): boolean {
  return online && state?.truncated.includes("models") === true;
}

/** Null: it did not answer, which its plan shows as unknown. */
async function modelsOf(
  courier: WholeListsDeps["courier"],
  agent: string,
  signal: AbortSignal,
): Promise<readonly Model[] | null> {
  try {
    const { models, unavailable } = await courier.listModels([agent], { signal });
    return unavailable.length === 0 ? models : null;
  } catch {
    return null;
  }
}
