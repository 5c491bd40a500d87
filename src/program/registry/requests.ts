// Requests to a registry: redirects only to where they may lead, and tokens that anybody may have. Its answers are untrusted.
import { z } from "zod";
import { CourierError } from "../../base/errors.ts";
import { parseJson, readBounded } from "../../base/foreign_text.ts";
import type { AllowedRegistries } from "./allowed_registries.ts";

export interface RegistryRequestsOptions {
  /** Which hosts speak no TLS. */
  readonly registries: Pick<AllowedRegistries, "insecure">;
  /** For tests, whose certificates nobody trusts. */
  readonly fetch?: ((url: string, init: BunFetchRequestInit) => Promise<Response>) | undefined;
}

export interface RegistryRequest {
  readonly url: URL;
  /** `authorization` stays at the host of `url`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Whether a redirect may lead there. Whether it has TLS is looked at here. */
  readonly mayLeadTo: (next: URL) => boolean | Promise<boolean>;
}

/** A registry redirects to what is not allowed: Ollama, which follows it anywhere, must not be asked. */
export class ForbiddenRedirect extends CourierError {
  constructor(from: string, { host, protocol }: URL) {
    super("forbidden", `${from} redirects to ${host || protocol}, which is not allowed`, {
      hint: "If it should be, the administrator of this box can name it with --allow-registry or --insecure-registry",
    });
  }
}

/** What registries answer for a model that they do not have. */
export const NO_SUCH: readonly number[] = [404, 410];
const REDIRECTS = [301, 302, 303, 307, 308];
const MAX_REDIRECTS = 3;
const MAX_TOKEN_BYTES = 64_000;

const TokenAnswer = z.object({
  token: z.string().max(16_000).optional(),
  access_token: z.string().max(16_000).optional(),
});

export class RegistryRequests {
  readonly #insecure: AllowedRegistries["insecure"];
  readonly #request: NonNullable<RegistryRequestsOptions["fetch"]>;

  constructor({ registries, fetch: request = fetch }: RegistryRequestsOptions) {
    this.#insecure = registries.insecure;
    this.#request = request;
  }

  /**
   * The response to a GET, of any status but a redirect.
   * @throws CourierError `forbidden` for a host without TLS that is not named for that; `ForbiddenRedirect`; `unavailable` after
   * too many redirects; what `fetch` throws when there is no connection
   */
  async send({ url: first, headers, signal, mayLeadTo }: RegistryRequest): Promise<Response> {
    if (!this.#isReachable(first))
      throw new CourierError("forbidden", `${first.host} speaks no TLS, and is not named with --insecure-registry`);
    const { authorization, ...open } = headers;
    let url = first;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await this.#request(url.href, {
        headers: authorization === undefined || url.host !== first.host ? open : { ...open, authorization },
        signal,
        redirect: "manual",
        timeout: false,
        // A registry without TLS is near: no proxy leads there.
        ...(url.protocol === "http:" ? { proxy: false } : {}),
      });
      if (!REDIRECTS.includes(response.status)) return response;
      await response.body?.cancel();
      const next = URL.parse(response.headers.get("location") ?? "", url.href);
      if (next === null) break;
      if (!this.#isReachable(next) || !(await mayLeadTo(next))) throw new ForbiddenRedirect(first.host, next);
      url = next;
    }
    throw new CourierError("unavailable", `${first.host} redirects too often`);
  }

  /**
   * A token for anybody, without a signature, from where a challenge sends us.
   * @param isRealm whether that place may be asked
   * @throws CourierError `forbidden` when the registry gives none without a login; `unavailable`; as `send`
   */
  async readToken(
    challenge: string,
    isRealm: (realm: URL) => boolean,
    request: Omit<RegistryRequest, "headers">,
  ): Promise<string> {
    const { host } = request.url;
    const wanted = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, value]));
    const realm = URL.parse(wanted.get("realm") ?? "");
    if (!/^bearer /i.test(challenge) || realm === null || !isRealm(realm)) throw loginRequired(host);
    for (const key of ["service", "scope"]) if (wanted.has(key)) realm.searchParams.set(key, wanted.get(key) ?? "");
    const response = await this.send({ ...request, url: realm, headers: { accept: "application/json" } });
    if (response.status !== 200) {
      await response.body?.cancel();
      if ([401, 403, ...NO_SUCH].includes(response.status)) throw loginRequired(host);
      throw new CourierError("unavailable", `${realm.host} answers ${response.status}`);
    }
    const answer = TokenAnswer.safeParse(parseJson((await readBounded(response.body, MAX_TOKEN_BYTES)) ?? ""));
    const token = answer.data?.token ?? answer.data?.access_token;
    if (token !== undefined && /^[\x21-\x7e]+$/.test(token)) return token;
    throw new CourierError("unavailable", `${realm.host} sends a token that cannot be read`);
  }

  /** By TLS, or without it at a host that is named for that. */
  #isReachable({ protocol, host }: URL): boolean {
    return protocol === "https:" || (protocol === "http:" && this.#insecure.has(host));
  }
}

function loginRequired(host: string): CourierError {
  return new CourierError("forbidden", `${host} asks for a login`);
}
