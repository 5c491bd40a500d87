// Reads a model from its registry, for the mirror: the manifest as text, and blobs from any byte on. Its answers are untrusted.
import { CourierError } from "../../base/errors.ts";
import { readBounded } from "../../base/foreign_text.ts";
import { formatModelName, type ModelName } from "../../base/model_name.ts";
import type { AllowedRegistries } from "../../program/registry/allowed_registries.ts";
import { type Layer, MAX_MANIFEST_BYTES } from "../../program/registry/manifest.ts";
import {
  ForbiddenRedirect,
  NO_SUCH,
  type RegistryRequest,
  RegistryRequests,
  type RegistryRequestsOptions,
} from "../../program/registry/requests.ts";
import { Storage, type StorageOptions } from "../../program/registry/storage.ts";
import { Silence } from "./silence.ts";

export interface RegistrySourceOptions {
  /** The registries that may be asked, and which of them speak no TLS. */
  readonly registries: Pick<AllowedRegistries, "requireAllowed" | "allowsRedirect" | "names" | "insecure">;
  /** How long a registry may be silent. */
  readonly silenceMs?: number;
  /** For tests, whose certificates nobody trusts. */
  readonly fetch?: RegistryRequestsOptions["fetch"];
  /** For tests, without a name server. */
  readonly addressesOf?: StorageOptions["addressesOf"];
}

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";
/** Of as many models; the oldest is asked for again. */
const MAX_TOKENS = 100;

export class RegistrySource {
  readonly #registries: RegistrySourceOptions["registries"];
  readonly #silenceMs: number;
  readonly #requests: RegistryRequests;
  readonly #storage: Storage;
  /** By registry and model: each counts for as long as the registry takes it. */
  readonly #tokens = new Map<string, string>();

  constructor({ registries, silenceMs = 30_000, fetch, addressesOf }: RegistrySourceOptions) {
    this.#registries = registries;
    this.#silenceMs = silenceMs;
    this.#requests = new RegistryRequests({ registries, fetch });
    this.#storage = new Storage({ registries, addressesOf });
  }

  /**
   * @throws CourierError `not_found`; `forbidden` when it asks for a login, is not allowed, or redirects to what is not;
   * `unavailable`
   */
  async readManifest(name: ModelName, signal: AbortSignal): Promise<string> {
    this.#registries.requireAllowed(formatModelName(name));
    const silence = new Silence(this.#silenceMs, signal);
    try {
      const url = this.#address(name, `manifests/${name.tag}`);
      const mayLeadTo = (next: URL): boolean => this.#registries.allowsRedirect(next);
      const response = await this.#ask(name, { url, headers: { accept: MANIFEST_TYPE }, mayLeadTo }, silence);
      const text = response.status === 200 ? await readBounded(response.body, MAX_MANIFEST_BYTES) : null;
      if (text !== null) return text;
      throw new CourierError("unavailable", `${name.host} sends a manifest that cannot be read`);
    } catch (error) {
      throw silence.failure(name.host, error);
    } finally {
      silence.end();
    }
  }

  /** The bytes of a blob from this one on, up to and not including `to`; a registry may send more. @throws CourierError as `readManifest`, also when it ends too early */
  async *readBlob(
    name: ModelName,
    { digest, bytes }: Layer,
    from: number,
    signal: AbortSignal,
    to = bytes,
  ): AsyncGenerator<Uint8Array> {
    this.#registries.requireAllowed(formatModelName(name));
    const silence = new Silence(this.#silenceMs, signal);
    try {
      const url = this.#address(name, `blobs/${digest}`);
      const mayLeadTo = async (next: URL): Promise<boolean> => await this.#storage.mayHave(url, next);
      // Bytes that were compressed on the way could not be asked for by ranges.
      const headers = { range: `bytes=${from}-${to - 1}`, "accept-encoding": "identity" };
      const response = await this.#ask(name, { url, headers, mayLeadTo }, silence);
      // Without ranges it sends all of it.
      let skipped = response.status === 206 ? from : 0;
      for await (const chunk of response.body ?? []) {
        silence.pause();
        const skip = Math.min(chunk.byteLength, from - skipped);
        skipped += skip;
        if (skip < chunk.byteLength) yield chunk.subarray(skip);
        silence.begin();
      }
    } catch (error) {
      throw silence.failure(name.host, error);
    } finally {
      silence.end();
    }
  }

  #address({ host, namespace, model }: ModelName, path: string): URL {
    const scheme = this.#registries.insecure.has(host) ? "http" : "https";
    const url = URL.parse(`${scheme}://${host}/v2/${namespace}/${model}/${path}`);
    if (url === null) throw new CourierError("invalid", `${host} is not a valid address`);
    return url;
  }

  /** With the model's token, where there is one; a new one when the registry wants that. */
  async #ask(name: ModelName, wanted: Omit<RegistryRequest, "signal">, silence: Silence): Promise<Response> {
    silence.begin();
    const request = { ...wanted, signal: silence.signal };
    const key = `${name.host}/${name.namespace}/${name.model}`.toLowerCase();
    const kept = this.#tokens.get(key);
    let response = await this.#requests.send(kept === undefined ? request : withToken(request, kept));
    const challenge = response.status === 401 ? response.headers.get("www-authenticate") : null;
    if (challenge !== null) {
      await response.body?.cancel();
      const token = await this.#newToken(name, challenge, request);
      silence.begin();
      this.#keep(key, token);
      response = await this.#requests.send(withToken(request, token));
    }
    if (response.ok) return response;
    await response.body?.cancel();
    throw statusFailure(name, response.status, challenge !== null);
  }

  /** From the registry itself, or from a host that is allowed: many keep their tokens elsewhere. */
  async #newToken(name: ModelName, challenge: string, request: RegistryRequest): Promise<string> {
    const isRealm = (realm: URL): boolean =>
      realm.host === request.url.host || (realm.protocol === "https:" && this.#registries.allowsRedirect(realm));
    const mayLeadTo = (next: URL): boolean => this.#registries.allowsRedirect(next);
    try {
      return await this.#requests.readToken(challenge, isRealm, { ...request, mayLeadTo });
    } catch (error) {
      const isRefused = error instanceof CourierError && error.code === "forbidden";
      throw isRefused && !(error instanceof ForbiddenRedirect) ? loginFailure(name, error) : error;
    }
  }

  #keep(key: string, token: string): void {
    this.#tokens.delete(key);
    this.#tokens.set(key, token);
    for (const oldest of [...this.#tokens.keys()].slice(0, -MAX_TOKENS)) this.#tokens.delete(oldest);
  }
}

function withToken(request: RegistryRequest, token: string): RegistryRequest {
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
}

/** @param hadToken some registries say in this way that they have a model which they don't show */
function statusFailure(name: ModelName, status: number, hadToken: boolean): CourierError {
  if (status === 401 || status === 403 || (hadToken && NO_SUCH.includes(status))) return loginFailure(name);
  if (NO_SUCH.includes(status)) {
    return new CourierError("not_found", `${name.host} has no ${formatModelName(name)}`, {
      hint: "Check the name and the tag",
    });
  }
  return new CourierError("unavailable", `${name.host} answers ${status}`);
}

function loginFailure(name: ModelName, cause?: CourierError): CourierError {
  const model = formatModelName(name);
  return new CourierError("forbidden", `${name.host} asks for a login to read ${model}, such as Ollama's own key`, {
    hint: `Only Ollama has that key. Pull it there without the mirror: gpuctl pull ${model}`,
    cause,
  });
}
