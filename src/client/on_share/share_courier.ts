// The fleet on the share itself: a courier on a transport, with the keys and the roster that gpuctl keeps.
import type { Check } from "../../base/check.ts";
import { type Clock, systemClock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { sameModel } from "../../base/model_name.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { type Agents, isListed } from "../../courier/selection.ts";
import { Courier, type CourierOptions } from "../../courier.ts";
import { examine } from "../../doctor/report.ts";
import { type AgentDocument, agentDocument } from "../../documents/agents.ts";
import { type Refused, refusedBy } from "../../documents/contact.ts";
import type { DesiredDocument } from "../../documents/models/desired.ts";
import { type ModelFitDocument, readFit } from "../../documents/models/fit.ts";
import { readUpdates, type UpdatesDocument } from "../../documents/models/updates.ts";
import { chosenRegistries, type RegistryChoices } from "../../program/registry/flags.ts";
import { PublishedModels } from "../../program/registry/published.ts";
import { Mirror } from "../../transport/mirror/mirror.ts";
import { examineMirror } from "../../transport/mirror/reading/examine.ts";
import { mirrorGuard } from "../../transport/mirror/reading/guard.ts";
import type { Transport } from "../../transport.ts";
import { type Decision, isKeyId, trustKey, trustUnsigned } from "../../trust/agents/decisions.ts";
import type { AgentKey } from "../../trust/agents/known_agents.ts";
import type { FleetCourier, KeyChoice } from "../fleet_courier.ts";
import { followRoster } from "../roster/kept.ts";
import type { OpenShare } from "../session.ts";
import { FetchesOnShare } from "./fetches.ts";

/** Whether it can be filled from this machine shows when that is tried: most who run doctor only read it. */
const USED = { isRequired: false, isFilled: false, requireSigned: null };

export class ShareCourier extends Courier implements FleetCourier {
  readonly mirror = null;
  readonly fetches = new FetchesOnShare(this);
  readonly #share: OpenShare;
  readonly #transport: Transport;
  readonly #clock: Clock;
  #published: PublishedModels | undefined;

  constructor(share: OpenShare, options: CourierOptions) {
    super(share.transport, options);
    this.#share = share;
    this.#transport = share.transport;
    this.#clock = options.clock ?? systemClock;
  }

  get description(): string {
    return this.#transport.description;
  }

  async connect(): Promise<void> {
    const { transport, roster, printer } = this.#share;
    await transport.connect();
    await followRoster(transport, roster, printer);
  }

  /** A view of the share has them. */
  async fill(views: readonly AgentView[]): Promise<readonly AgentView[]> {
    return views;
  }

  document(view: AgentView): AgentDocument {
    return agentDocument(view);
  }

  async holders(model: string): ReturnType<FleetCourier["holders"]> {
    const views = (await this.agents()).filter(({ online }) => online);
    return views.flatMap(({ agent, state }) => {
      const found = state?.models?.find(({ name }) => sameModel(name, model));
      return found === undefined ? [] : [{ agent, digest: found.digest }];
    });
  }

  async updates(
    ...[names, pattern, { registries, signal }]: Parameters<FleetCourier["updates"]>
  ): Promise<UpdatesDocument> {
    const found = await this.listModels(names, { signal });
    return await readUpdates(this.#publishedModels(registries), found, pattern, async (agent, model, { timeoutMs }) => {
      return await this.publishedModel(agent, model, { timeoutMs, signal });
    });
  }

  async fit(...[model, names, { registries }]: Parameters<FleetCourier["fit"]>): Promise<ModelFitDocument> {
    return await readFit(this.#publishedModels(registries), model, await this.choose(names ?? "all"));
  }

  async desired(): Promise<DesiredDocument> {
    const hint = "gpuctl plan fleet.yaml compares with a file; --server asks gpu-server for its own";
    return await Promise.reject(new CourierError("invalid", "Only gpu-server keeps a fleet to a file", { hint }));
  }

  #publishedModels(registries: RegistryChoices): PublishedModels {
    this.#published ??= new PublishedModels({ ...chosenRegistries(registries), clock: this.#clock });
    return this.#published;
  }

  async reasonToKeep({ agent }: AgentView): Promise<CourierError | undefined> {
    return await this.requireGone(agent).then(() => undefined, asCourierError);
  }

  async refused(names: Agents | undefined): Promise<readonly Refused[]> {
    const asked = this.lastKnownAgents().filter(({ agent }) => isListed(agent, names));
    return refusedBy(asked);
  }

  async *doctor(agents: Agents | undefined, signal: AbortSignal): AsyncGenerator<Check> {
    const { transport, roster, path } = this.#share;
    const kept = roster === null ? null : () => roster;
    yield* examine({ transport, courier: this, agents, roster: kept, keepsKeys: true, signal });
    const mirror = path === null ? null : new Mirror(path, mirrorGuard(this.#clock));
    if (mirror !== null) yield* examineMirror({ mirror, ...USED, nowMs: this.#clock.now() });
  }

  async knownKeys(): Promise<readonly { readonly agent: string; readonly key: AgentKey }[]> {
    if (this.keys.failure !== null) throw this.keys.failure;
    return this.keys.all();
  }

  async trust(agent: string, choice: KeyChoice): Promise<Decision> {
    if (choice !== "unsigned") await this.#look(choice.key);
    const decision = choice === "unsigned" ? trustUnsigned(this.keys, agent) : trustKey(this.keys, agent, choice.key);
    this.#share.saveKeys();
    return decision;
  }

  /** Reads which key each document has now. A whole key needs no share, on which it only may turn out to be restored. */
  async #look(given: string | undefined): Promise<void> {
    const looked = this.connect().then(async () => await this.agents());
    if (given === undefined || isKeyId(given)) await looked;
    else await looked.catch(() => undefined);
  }
}
