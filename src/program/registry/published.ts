// What the registries have now of the models that boxes have: each name is asked for once, and the answers are kept for hours.
import type { Clock } from "../../base/clock.ts";
import { asCourierError } from "../../base/errors.ts";
import { parseModelName } from "../../base/model_name.ts";
import { Slots } from "../../base/slots.ts";
import { AllowedRegistries } from "./allowed_registries.ts";
import { Registry, UnreachableRegistry } from "./registry.ts";

/** A model as a box has it. */
export interface HeldModel {
  /** In Ollama's form. */
  readonly name: string;
  /** Of its manifest, as Ollama lists it. */
  readonly digest: string;
  /** When the box got it, in ms since 1970. */
  readonly gotAtMs: number;
}

interface PublishedFacts {
  readonly digest: string;
  readonly totalBytes: number;
  /** As in a manifest; null: unknown. */
  readonly weightsBytes: number | null;
}

/** Others, such as agents, that may reach a registry which cannot be reached from here. */
export interface Elsewhere {
  /** Names of those that may be asked about a model. */
  readonly candidates: (name: string) => readonly string[];
  /** @returns `none`: the registry has no such model; null: nobody could ask it */
  readonly ask: (name: string) => Promise<PublishedFacts | "none" | null>;
}

/** What a registry has under a name. */
export type Published =
  | (PublishedFacts & { readonly kind: "manifest"; readonly checkedAtMs: number })
  /** It has no such model: copies, and what was built on a box. */
  | { readonly kind: "none"; readonly checkedAtMs: number }
  | { readonly kind: "unknown"; readonly reason: string; readonly checkedAtMs: number };

export interface PublishedModelsOptions {
  /** `host[:port]` of the registries that may be asked; `*`: every one. */
  readonly allowed: readonly string[];
  /** `host:port` of those that may be asked without TLS. */
  readonly insecure: readonly string[];
  readonly clock: Pick<Clock, "now" | "monotonic">;
}

interface Kept {
  readonly answer: Promise<Published>;
  readonly askedMs: number;
  /** The others that could be asked. */
  readonly candidates: ReadonlySet<string>;
  /** Undefined: it is awaited. */
  settled?: Published;
}

/** One call of `ask()`. */
interface Round {
  readonly beganMs: number;
  /** The registries that did not answer, with the reason. */
  readonly unreachable: Map<string, string>;
  readonly elsewhere: Elsewhere | undefined;
}

const KEPT_MS = 6 * 3600_000;
/** A failure, or an answer that a box seems to be ahead of, is asked for again after this time. */
const ASK_AGAIN_MS = 60_000;
const MAX_KEPT = 2_000;
const AT_ONCE = 8;
/** Others are not asked later than this in a round: they may take a while each. */
const ELSEWHERE_MS = 15_000;
/** Of one round; what is left is asked for by the next one. */
const ROUND_MS = 20_000;

export class PublishedModels {
  readonly #options: PublishedModelsOptions;
  readonly #registries: AllowedRegistries;
  readonly #registry: Pick<Registry, "readManifest">;
  readonly #slots = new Slots(AT_ONCE);
  /** By the name in lower case, in the order in which they were asked for. */
  readonly #kept = new Map<string, Kept>();

  constructor(options: PublishedModelsOptions) {
    this.#options = options;
    this.#registries = new AllowedRegistries({ ...options, agent: "this machine" });
    this.#registry = new Registry({ registries: this.#registries });
  }

  /**
   * What the registries have under the names of these models: of each name once, however many boxes have it. Rejects only as
   * `elsewhere` does.
   * @param elsewhere for names whose registry cannot be reached, or may not be asked, from here
   * @returns by the name in lower case
   */
  async ask(models: readonly HeldModel[], elsewhere?: Elsewhere): Promise<ReadonlyMap<string, Published>> {
    const round: Round = { beganMs: this.#options.clock.monotonic(), unreachable: new Map(), elsewhere };
    const byName = Map.groupBy(models, ({ name }) => name.toLowerCase());
    const answers = [...byName].map(async ([key, held]) => [key, await this.#answer(key, held, round)] as const);
    return new Map(await Promise.all(answers));
  }

  /** The answer that is kept, however old; undefined: not asked yet, or not answered. Asks nobody. */
  peek(name: string): Published | undefined {
    return this.#kept.get(name.toLowerCase())?.settled;
  }

  async #answer(key: string, held: readonly HeldModel[], round: Round): Promise<Published> {
    const known = this.#kept.get(key);
    const candidates = new Set(round.elsewhere?.candidates(key));
    if (known !== undefined && stillUseful(known, candidates) && this.#stillCounts(known, held))
      return await known.answer;
    return await this.#slots.run(async () => {
      const { clock } = this.#options;
      // Somebody else may have asked while this one waited.
      const other = this.#kept.get(key);
      if (other !== undefined && other !== known && stillUseful(other, candidates)) return await other.answer;
      if (clock.monotonic() - round.beganMs >= ROUND_MS)
        return this.#unknown(`not asked within ${ROUND_MS / 1000} s: ask again`);
      return await this.#keep(key, this.#read(held[0]?.name ?? key, round), candidates);
    });
  }

  #stillCounts({ settled, askedMs }: Kept, held: readonly HeldModel[]): boolean {
    if (settled === undefined) return true;
    const ageMs = this.#options.clock.monotonic() - askedMs;
    if (ageMs < ASK_AGAIN_MS) return true;
    if (ageMs >= KEPT_MS || settled.kind === "unknown") return false;
    // A box that pulled since then may have what the registry got since then.
    const isAhead = ({ digest, gotAtMs }: HeldModel): boolean =>
      gotAtMs >= settled.checkedAtMs && (settled.kind === "none" || settled.digest !== digest);
    return !held.some(isAhead);
  }

  async #keep(key: string, answer: Promise<Published>, candidates: ReadonlySet<string>): Promise<Published> {
    const askedMs = this.#options.clock.monotonic();
    const last = this.#kept.get(key);
    // Two callers that can ask different agents do not have each other's failures asked for again and again.
    const isFailing = last?.settled?.kind === "unknown" && askedMs - last.askedMs < ASK_AGAIN_MS;
    const kept: Kept = { answer, askedMs, candidates: isFailing ? candidates.union(last.candidates) : candidates };
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    for (const oldest of [...this.#kept.keys()].slice(0, -MAX_KEPT)) this.#kept.delete(oldest);
    kept.settled = await answer;
    return kept.settled;
  }

  async #read(name: string, round: Round): Promise<Published> {
    try {
      const { host } = parseModelName(name);
      if (!this.#registries.allows(name))
        return await this.#elsewhere(name, `${host} may not be asked (--allow-registry)`, round);
      const known = round.unreachable.get(host);
      if (known !== undefined) return await this.#elsewhere(name, known, round);
      const { digest, totalBytes, weightsBytes = null } = await this.#registry.readManifest(name);
      return { kind: "manifest", digest, totalBytes, weightsBytes, checkedAtMs: this.#options.clock.now() };
    } catch (error) {
      const { code, message } = asCourierError(error);
      if (code === "not_found") return { kind: "none", checkedAtMs: this.#options.clock.now() };
      if (!(error instanceof UnreachableRegistry)) return this.#unknown(message);
      round.unreachable.set(parseModelName(name).host, message);
      return await this.#elsewhere(name, message, round);
    }
  }

  /** @param reason why it cannot be asked from here */
  async #elsewhere(name: string, reason: string, { elsewhere, beganMs }: Round): Promise<Published> {
    const { clock } = this.#options;
    if (elsewhere === undefined || clock.monotonic() - beganMs >= ELSEWHERE_MS) return this.#unknown(reason);
    const found = await elsewhere.ask(name);
    if (found === null) return this.#unknown(`${reason}; no agent could ask it either`);
    if (found === "none") return { kind: "none", checkedAtMs: clock.now() };
    return { kind: "manifest", ...found, checkedAtMs: clock.now() };
  }

  #unknown(reason: string): Published {
    return { kind: "unknown", reason, checkedAtMs: this.#options.clock.now() };
  }
}

/** A failure, or a question under way, does not count for a round that can ask others than that one could. */
function stillUseful({ settled, candidates }: Kept, wanted: ReadonlySet<string>): boolean {
  return wanted.isSubsetOf(candidates) || (settled !== undefined && settled.kind !== "unknown");
}
