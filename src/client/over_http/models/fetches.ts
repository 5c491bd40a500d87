// The fetches into the mirror, over the routes of gpu-server.
import { normalModelName } from "../../../base/model_name.ts";
import { FetchDocument, FetchesDocument } from "../../../documents/models/mirror.ts";
import type { FleetCourier } from "../../fleet_courier.ts";
import type { ServerHttp } from "../http.ts";
import { orTooOld, SHARE_MS } from "./mirror.ts";

type Fetches = FleetCourier["fetches"];

export class FetchesOverHttp implements Fetches {
  readonly #http: ServerHttp;

  constructor(http: ServerHttp) {
    this.#http = http;
  }

  async list(): Promise<FetchesDocument> {
    return await orTooOld(this.#http, this.#http.get("/v1/mirror/fetches", FetchesDocument));
  }

  async start(model: string, agent: string | undefined): Promise<FetchDocument> {
    const body = { model: normalModelName(model), ...(agent === undefined ? {} : { agent }) };
    return await orTooOld(this.#http, this.#http.send("POST", "/v1/mirror/fetches", FetchDocument, { body }));
  }

  async find(id: string, signal?: AbortSignal): Promise<FetchDocument> {
    return await this.#http.get(pathOf(id), FetchDocument, { signal, awaited: null });
  }

  async cancel(id: string): Promise<FetchDocument> {
    const asked = this.#http.send("DELETE", pathOf(id), FetchDocument, { minimumMs: SHARE_MS });
    return await orTooOld(this.#http, asked);
  }
}

function pathOf(id: string): string {
  return `/v1/mirror/fetches/${encodeURIComponent(id)}`;
}
