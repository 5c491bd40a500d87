// Asks a model's registry for its manifest, before Ollama does. Its answers are untrusted.
import { CourierError } from "../../base/errors.ts";
import { readBounded } from "../../base/foreign_text.ts";
import { parseModelName } from "../../base/model_name.ts";
import type { AllowedRegistries } from "./allowed_registries.ts";
import { connectionReason } from "./connection.ts";
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from "./manifest.ts";
import { NO_SUCH, type RegistryRequest, RegistryRequests, type RegistryRequestsOptions } from "./requests.ts";

export interface RegistryOptions {
  /** Where it may be sent on to, and which of them speak no TLS. */
  readonly registries: Pick<AllowedRegistries, "allowsRedirect" | "insecure">;
  /** For all of it: redirects, a token, the manifest. */
  readonly timeoutMs?: number;
  readonly fetch?: RegistryRequestsOptions["fetch"];
}

/** The registry itself does not answer: nothing that it has can be read now. */
export class UnreachableRegistry extends CourierError {
  /** @param reason a predicate */
  constructor(host: string, reason: string, cause: unknown) {
    super("unavailable", `${host} ${reason}`, { cause });
  }
}

/** A manifest as a registry has it now. */
export interface PublishedManifest extends Manifest {
  /** The SHA-256 of its bytes in hex, as Ollama lists it. */
  readonly digest: string;
}

const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

export class Registry {
  readonly #registries: RegistryOptions["registries"];
  readonly #timeoutMs: number;
  readonly #requests: RegistryRequests;

  constructor({ registries, timeoutMs = 5000, fetch }: RegistryOptions) {
    this.#registries = registries;
    this.#timeoutMs = timeoutMs;
    this.#requests = new RegistryRequests({ registries, fetch });
  }

  /**
   * The manifest of a model, as its registry has it now; where that wants a token, with one for anybody. Asked once. Whether
   * that registry is allowed is for the caller to check.
   * @throws CourierError `unavailable` when the registry cannot be reached, is too slow or sends an unusable answer;
   * `not_found` when it has no such model; `forbidden` when it asks for a login; `ForbiddenRedirect`; `invalid`
   */
  async readManifest(model: string): Promise<PublishedManifest> {
    const { host, namespace, model: name, tag } = parseModelName(model);
    const scheme = this.#registries.insecure.has(host) ? "http" : "https";
    const url = URL.parse(`${scheme}://${host}/v2/${namespace}/${name}/manifests/${tag}`);
    if (url === null) throw new CourierError("invalid", `${host} is not a valid address`);
    const signal = AbortSignal.timeout(this.#timeoutMs);
    try {
      return await this.#read(url, signal);
    } catch (error) {
      if (error instanceof CourierError && error.code === "not_found") throw noSuchModel(host, model);
      if (error instanceof CourierError) throw error;
      throw connectionFailure(host, error, signal.aborted ? this.#timeoutMs : null);
    }
  }

  async #read(url: URL, signal: AbortSignal): Promise<PublishedManifest> {
    const mayLeadTo = (next: URL): boolean => this.#registries.allowsRedirect(next);
    const request: RegistryRequest = { url, headers: { accept: MANIFEST_TYPE }, signal, mayLeadTo };
    let response = await this.#requests.send(request);
    const challenge = response.status === 401 ? response.headers.get("www-authenticate") : null;
    if (challenge !== null) {
      await response.body?.cancel();
      // Like Ollama, which pulls it afterwards: from the registry itself only.
      const token = await this.#requests.readToken(challenge, ({ host }) => host === url.host, request);
      response = await this.#requests.send({
        ...request,
        headers: { ...request.headers, authorization: `Bearer ${token}` },
      });
      // Some registries hide private models in this way, and Ollama may be logged in where we are not.
      if (NO_SUCH.includes(response.status)) {
        await response.body?.cancel();
        throw new CourierError("forbidden", `${url.host} shows no such model without a login`);
      }
    }
    const hash = new Bun.CryptoHasher("sha256");
    const text = await readText(response, url, MAX_MANIFEST_BYTES, (chunk) => hash.update(chunk));
    const manifest = parseManifest(text);
    if (manifest !== null) return { ...manifest, digest: hash.digest("hex") };
    throw new CourierError("unavailable", `${url.host} sends a manifest that cannot be read`);
  }
}

/** @throws CourierError for another status than 200, and for more than `maxBytes` */
async function readText(
  response: Response,
  { host }: URL,
  maxBytes: number,
  seen?: (chunk: Uint8Array) => void,
): Promise<string> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw statusFailure(host, response.status);
  }
  const text = await readBounded(response.body, maxBytes, seen);
  if (text !== null) return text;
  throw new CourierError("unavailable", `${host} sends more than ${maxBytes} bytes`);
}

/** @param waitedMs how long it was waited without success; null: it failed before */
function connectionFailure(host: string, cause: unknown, waitedMs: number | null): CourierError {
  const why = waitedMs === null ? connectionReason(cause).text : `did not answer within ${waitedMs / 1000} s`;
  return new UnreachableRegistry(host, why, cause);
}

/** Without the body: anyone who sends a pull would read it in the job, and it may be that of a service inside the network. */
function statusFailure(host: string, status: number): CourierError {
  if (NO_SUCH.includes(status)) return new CourierError("not_found", `${host} has no such model`);
  // Hubs say 401 for a repository that does not exist, so that nobody learns which ones do.
  if (status === 401) return new CourierError("forbidden", `${host} has no such model, or asks for a login`);
  if (status === 403) return new CourierError("forbidden", `${host} does not allow this model to be read`);
  return new CourierError("unavailable", `${host} answers ${status}`);
}

/** The name in Ollama's form may begin with the host already. */
function noSuchModel(host: string, model: string): CourierError {
  const name = model.toLowerCase().startsWith(`${host.toLowerCase()}/`) ? model.slice(host.length + 1) : model;
  return new CourierError("not_found", `${host} has no model ${name}`, { hint: "Check the name and the tag" });
}
