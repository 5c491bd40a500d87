// The active models that servers share: set on NATS, and read from the copy.
import { z } from "zod";
import { type ActiveModelStore, type ActiveModels, ModelType } from "../active_models.ts";
import type { RecordKind, Records } from "./records.ts";

/** The kind of their records. */
export const ACTIVE_MODEL = "active_model";
const MODEL_CHARACTERS = 1_000;
const Stored = z.object({ model: z.string().min(1).max(MODEL_CHARACTERS) });

export class SharedActiveModels implements ActiveModelStore {
  readonly #records: Pick<Records, "put">;
  readonly #copy: ActiveModels;

  constructor(records: Pick<Records, "put">, copy: ActiveModels) {
    this.#records = records;
    this.#copy = copy;
  }

  read(): ReturnType<ActiveModels["read"]> {
    return this.#copy.read();
  }

  /** @throws CourierError `unavailable` while NATS is away */
  async set(type: ModelType, model: string): Promise<void> {
    await this.#records.put(ACTIVE_MODEL, type, { model } satisfies z.infer<typeof Stored>);
  }
}

/** The copy's place for them. */
export function activeModelRecords(copy: ActiveModels): RecordKind {
  return {
    put: (id, value) => copy.set(ModelType.parse(id), Stored.parse(value).model),
    remove: (id) => copy.remove(ModelType.parse(id)),
  };
}
