// Pulls whose bytes the agent passes on: under a helper name from a registry on loopback, then copied to the model's own name.
import { CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { sameModel } from "../../../base/model_name.ts";
import { listedDigests } from "../../../program/registry/manifest.ts";
import { isHelperName } from "../../../transport/mirror/helper_name.ts";
import type { Ollama, PullOptions } from "../../ollama/ollama.ts";
import { PullFailure, retryOf } from "../../ollama/pull_failure.ts";
import { LoopbackRegistry } from "./loopback_registry.ts";
import type { BytesFinder, ModelBytes, Place } from "./model_bytes.ts";

export interface MirroredOllamaDeps {
  readonly ollama: Pick<
    Ollama,
    "pullModel" | "deleteModel" | "copyModel" | "listModels" | "listHelpers" | "hasHelpers"
  >;
  /** Null: Ollama asks the registry itself, for every pull. */
  readonly sources: BytesFinder | null;
  readonly log: Log;
}

/** Ollama, for pulls: each may come through the agent, and nobody sees how. */
export class MirroredOllama {
  readonly #deps: MirroredOllamaDeps;
  /** How many pulls are under way. */
  #underWay = 0;

  constructor(deps: MirroredOllamaDeps) {
    this.#deps = deps;
  }

  async deleteModel(name: string, signal?: AbortSignal): Promise<void> {
    await this.#deps.ollama.deleteModel(name, signal);
  }

  /**
   * As `Ollama.pullModel`; another attempt after a crash continues, and removes what the first one left.
   * @throws CourierError also as `BytesFinder.bytesOf`; `conflict` when what came is not what is there
   */
  async pullModel(model: string, options: PullOptions = {}): Promise<void> {
    const { ollama, sources } = this.#deps;
    const bytes = (await sources?.bytesOf(model, options.signal)) ?? null;
    this.#underWay += 1;
    try {
      if (bytes === null) await ollama.pullModel(model, options);
      else await this.#pullBytes(model, bytes, options);
    } finally {
      this.#underWay -= 1;
      if (ollama.hasHelpers) await this.removeLeft();
    }
  }

  /**
   * Deletes models under helper names that a crash has left, while no pull is under way. A failure is
   * logged: the next pull, or the next start, tries again.
   */
  async removeLeft(): Promise<void> {
    const { ollama, log } = this.#deps;
    if (this.#underWay > 0) return;
    try {
      for (const { name } of await ollama.listHelpers()) if (this.#underWay === 0) await ollama.deleteModel(name);
    } catch (error) {
      log.warn({ error }, "Cannot remove what a pull from the mirror left in Ollama");
    }
  }

  async #pullBytes(model: string, bytes: ModelBytes, options: PullOptions): Promise<void> {
    const { ollama, log } = this.#deps;
    await using registry = new LoopbackRegistry({ model: bytes, log });
    const helper = registry.modelName;
    log.info({ model }, `Pulling from ${bytes.place.name}`);
    try {
      await ollama.pullModel(model, { ...options, from: helper });
    } catch (error) {
      throw readingFailure(model, error, registry.failure) ?? (await inOwnWords(model, helper, bytes.place, error));
    }
    // It is complete. After a crash another program may have had the port, and may have sent something else.
    const listed = (await ollama.listHelpers(options.signal)).find(({ name }) => sameModel(name, helper));
    if (listed === undefined || !listedDigests(bytes.text).includes(bare(listed.digest))) {
      throw new CourierError(
        "conflict",
        `Cannot pull ${JSON.stringify(model)}: Ollama got another model than ${bytes.place.name} has`,
      );
    }
    requireWanted(model, options.signal);
    await this.#putInPlace(helper, model, bare(listed.digest));
  }

  /** Copies onto the own name. A copy frees nothing: what had the name before is deleted under a helper name of its own. */
  async #putInPlace(helper: string, model: string, digest: string): Promise<void> {
    const { ollama } = this.#deps;
    const before = (await ollama.listModels()).find(({ name }) => sameModel(name, model));
    const replaced =
      before === undefined || bare(before.digest) === digest ? null : helper.replace(/latest$/, "before");
    if (replaced !== null && isHelperName(replaced)) await ollama.copyModel(before?.name ?? model, replaced);
    await ollama.copyModel(helper, before?.name ?? model);
    if (replaced !== null) await ollama.deleteModel(replaced);
    await ollama.deleteModel(helper);
  }
}

function bare(digest: string): string {
  return digest.toLowerCase().replace(/^sha256:/, "");
}

function requireWanted(model: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new CourierError("cancelled", `Cannot pull ${JSON.stringify(model)}: cancelled`);
}

/** Why the bytes could not be read, when that is why Ollama failed: it only sees that its registry did not send them. */
function readingFailure(model: string, error: unknown, failure: CourierError | undefined): CourierError | undefined {
  if (failure === undefined || !(error instanceof CourierError)) return undefined;
  const isOfRegistry = ["unavailable", "internal", "not_found"].includes(error.code) && retryOf(error) !== "once";
  if (!isOfRegistry) return undefined;
  const { code, message, hint } = failure;
  return new PullFailure(code, `Cannot pull ${JSON.stringify(model)}: ${message}`, { retry: retryOf(failure), hint });
}

/** Without the helper name; and wrong bytes stay wrong, unlike those that a network has changed. */
async function inOwnWords(
  model: string,
  helper: string,
  { name, unreadableHint, damaged }: Place,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof CourierError)) return error;
  const retry = retryOf(error);
  if (retry === "once" && damaged !== null) {
    const message = `Cannot pull ${JSON.stringify(model)}: digest mismatch: ${damaged.reason}`;
    const isAvoided = await damaged.avoid();
    return new PullFailure("unavailable", message, { retry: isAvoided ? "once" : "never", hint: damaged.hint });
  }
  const [host = "", ...path] = helper.replace(/:latest$/, "").split("/");
  const message = error.message
    .replaceAll(path.join("/"), model)
    .replaceAll(`http://${host}`, name.replace(/^the /, ""))
    .replaceAll(host, name);
  return message === error.message ? error : new PullFailure(error.code, message, { retry, hint: unreadableHint });
}
