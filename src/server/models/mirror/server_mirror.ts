// The mirror as gpu-server runs it: what it has, the fetches that fill it, and its upkeep.
import { type Clock, isoTime, within } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import { formatModelName, type ModelName } from "../../../base/model_name.ts";
import type { FetchDocument } from "../../../documents/models/mirror.ts";
import { type Listed, listMirror } from "../../../transport/mirror/listing.ts";
import type { Mirror } from "../../../transport/mirror/mirror.ts";
import { collectGarbage, type Freed, removeModel } from "../../../transport/mirror/upkeep.ts";
import { SharedAnswers } from "../../limits/shared_answers.ts";
import type { FetchRecord, FetchStore } from "./fetch_store.ts";
import type { Fetches, FetchRequest } from "./fetches.ts";

export interface ServerMirrorDeps {
  readonly mirror: Mirror;
  readonly fetches: Fetches;
  readonly store: Pick<FetchStore, "find" | "pulls">;
  readonly clock: Clock;
  /** By default of the files. */
  readonly upkeep?: { readonly removeModel: typeof removeModel; readonly collectGarbage: typeof collectGarbage };
}

const KEPT_MS = 2_000;
/** A share that hangs must not keep a request forever. */
const READ_MS = 20_000;
const MEASURED_EVERY_MS = 60_000;

export class ServerMirror {
  readonly fetches: Fetches;
  readonly #deps: ServerMirrorDeps;
  readonly #answers: SharedAnswers<Listed>;
  #measured: { readonly models: number; readonly bytes: number } | null = null;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  /** Counts removals: a list from before one must not be served after it. */
  #removals = 0;
  /** Removals that the share has not answered in time: each keeps a thread. */
  #late = 0;

  constructor(deps: ServerMirrorDeps) {
    this.#deps = deps;
    this.fetches = deps.fetches;
    this.#answers = new SharedAnswers({ clock: deps.clock, keptMs: KEPT_MS });
  }

  /** Of the mirror, on this machine. */
  get folder(): string | null {
    return this.#deps.mirror.path;
  }

  /** The models and blobs, as they were at most 2 s ago, or after the last change by this server. @throws CourierError `unavailable` when the share cannot be read */
  async list(): Promise<Listed> {
    const listed = await within(
      this.#deps.clock,
      READ_MS,
      this.#answers.get(`${this.#removals} ${this.fetches.ended.succeeded}`, async () => await this.#read()),
      null,
    );
    if (listed !== null) return listed;
    throw new CourierError("unavailable", `Cannot read the mirror in ${this.folder}: the share does not answer`);
  }

  /** As last read; null: not yet. Reads it again in the background when that was more than a minute ago. */
  measured(): { readonly models: number; readonly bytes: number } | null {
    const { clock } = this.#deps;
    if (clock.monotonic() - this.#measuredAtMs >= MEASURED_EVERY_MS) {
      this.#measuredAtMs = clock.monotonic();
      // The routes of the mirror show why it cannot be read; the metrics then have no sizes.
      this.list().catch(() => {
        this.#measured = null;
      });
    }
    return this.#measured;
  }

  fetchDocuments(): readonly FetchDocument[] {
    return this.fetches.list().map((fetch) => this.#document(fetch));
  }

  hasFetch(id: string): boolean {
    return this.#deps.store.find(id) !== undefined;
  }

  /** With the pulls that follow it. @throws CourierError `not_found` */
  fetchDocument(id: string): FetchDocument {
    const pulls = this.#deps.store.pulls(id).map(({ agent, job, code, error }) => ({ agent, job, code, error }));
    return { ...this.#document(this.fetches.find(id)), pulls };
  }

  /** As `Fetches.add()`. */
  add(request: FetchRequest): FetchDocument {
    return this.fetchDocument(this.fetches.add(request).id);
  }

  /** As `Fetches.cancel()`. */
  async cancel(id: string): Promise<FetchDocument> {
    await this.fetches.cancel(id);
    return this.fetchDocument(id);
  }

  /** As `removeModel()`. @throws CourierError `conflict` while it is being fetched */
  async remove(name: ModelName): Promise<Freed> {
    const model = formatModelName(name);
    if (this.fetches.isActive(model)) {
      throw new CourierError("conflict", `Cannot remove ${model} from the mirror: it is being fetched`, {
        hint: "Cancel the fetch, or wait for its end",
      });
    }
    return await this.#changing(async ({ removeModel: remove }) => await remove(this.#deps.mirror, name));
  }

  /** As `collectGarbage()`. @throws CourierError `conflict` while anything is being fetched: it has blobs before it has a name */
  async collect(): Promise<Freed> {
    const { clock, mirror } = this.#deps;
    const { running } = this.fetches.active;
    if (running > 0) {
      throw new CourierError("conflict", `Cannot clean up the mirror: ${running} fetches are running`, {
        hint: "Wait for their end: gpuctl mirror fetches",
      });
    }
    return await this.#changing(async ({ collectGarbage: collect }) => await collect(mirror, clock.now()));
  }

  async #changing(change: (upkeep: NonNullable<ServerMirrorDeps["upkeep"]>) => Promise<Freed>): Promise<Freed> {
    if (this.#late > 0)
      throw new CourierError("unavailable", "The share has not answered an earlier removal from the mirror yet", {
        hint: "Try again when the share answers",
      });
    const { clock, upkeep = { removeModel, collectGarbage } } = this.#deps;
    const counted = change(upkeep).finally(() => {
      this.#removals += 1;
    });
    const freed = await within(clock, READ_MS, counted, null);
    if (freed !== null) return freed;
    this.#late += 1;
    const answered = (): void => {
      this.#late -= 1;
    };
    void counted.then(answered, answered);
    throw new CourierError("deadline_exceeded", `The share has not answered within ${READ_MS / 1000} s`, {
      hint: "It may still happen: look at the mirror before repeating it",
    });
  }

  async #read(): Promise<Listed> {
    const listed = await listMirror(this.#deps.mirror);
    const bytes = [...listed.blobs.values()].reduce((sum, each) => sum + each, 0);
    this.#measured = { models: listed.models.length, bytes };
    return listed;
  }

  #document(fetch: FetchRecord): FetchDocument {
    const { id, model, state, completed_bytes, total_bytes, code, error, requested_by } = fetch;
    const time = (ms: number | null): string | null => (ms === null ? null : isoTime(ms));
    return {
      id,
      agent: null,
      model,
      state,
      completed_bytes,
      total_bytes,
      bytes_per_second: this.fetches.bytesPerSecond(id),
      created_at: isoTime(fetch.created_at_ms),
      started_at: time(fetch.started_at_ms),
      finished_at: time(fetch.finished_at_ms),
      code,
      error,
      requested_by,
    };
  }
}
