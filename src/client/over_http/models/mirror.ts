// The mirror that gpu-server runs, over its routes.
import { asCourierError } from "../../../base/errors.ts";
import { normalModelName } from "../../../base/model_name.ts";
import { JobsDocument } from "../../../documents/jobs.ts";
import { FreedDocument, MirrorDocument } from "../../../documents/models/mirror.ts";
import type { AskingForPull, FleetCourier } from "../../fleet_courier.ts";
import { notGpuServer, tooOld } from "../failures.ts";
import type { ServerHttp } from "../http.ts";

/** gpu-server waits for the share as long. */
export const SHARE_MS = 30_000;

export class MirrorOverHttp implements NonNullable<FleetCourier["mirror"]> {
  readonly #http: ServerHttp;

  constructor(http: ServerHttp) {
    this.#http = http;
  }

  async read(): Promise<MirrorDocument> {
    return await orTooOld(this.#http, this.#http.get("/v1/mirror", MirrorDocument, { minimumMs: SHARE_MS }));
  }

  async remove(model: string): Promise<FreedDocument> {
    const path = `/v1/mirror/models/${encodeURIComponent(normalModelName(model))}`;
    return await orTooOld(this.#http, this.#http.send("DELETE", path, FreedDocument, { minimumMs: SHARE_MS }));
  }

  async collect(): Promise<FreedDocument> {
    const asked = this.#http.send("POST", "/v1/mirror/gc", FreedDocument, { minimumMs: SHARE_MS });
    return await orTooOld(this.#http, asked);
  }

  async pull(
    model: string,
    agents: readonly string[],
    { force = false, now = false }: AskingForPull,
  ): Promise<JobsDocument> {
    const [kind, via] = ["pull", "mirror"];
    const body = { kind, model: normalModelName(model), agents, via, ...(force && { force }), ...(now && { now }) };
    try {
      const started = await this.#http.send("POST", "/v1/jobs", JobsDocument, { body });
      if (started.fetch !== undefined) return started;
    } catch (error) {
      const { code, message } = asCourierError(error);
      // It refuses a field that it does not know.
      const isOld = code === "invalid" && message.includes("via");
      throw isOld ? tooOld(this.#http.base, "POST /v1/jobs with via: mirror") : error;
    }
    throw notGpuServer(this.#http.base, "it started no fetch");
  }
}

/** A model or a fetch may be missing, too: only an older server has no such route. */
export async function orTooOld<Value>(http: ServerHttp, asked: Promise<Value>): Promise<Value> {
  try {
    return await asked;
  } catch (error) {
    const failure = asCourierError(error);
    const isRoute = failure.code === "not_found" && failure.message.startsWith("No route");
    throw isRoute ? tooOld(http.base, "/v1/mirror") : failure;
  }
}
