// The cookie of a session, and for which requests it counts: only for those of the pages that this server sends.
import type { Context, HonoRequest } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { CourierError } from "../../../base/errors.ts";
import type { InSession } from "../../access/sessions/sessions.ts";

export interface SessionCookieOptions {
  /** Where browsers find this server; null: at the address that their requests name, without TLS. */
  readonly publicUrl: URL | null;
  /** Of other pages, which a token alone lets in. */
  readonly corsOrigins: readonly string[];
}

/**
 * Browsers send a cookie also to other ports of its host, and for requests from pages there, which `SameSite` calls the same
 * site. So the headers decide that say where a request is from.
 */
export class SessionCookie {
  readonly #publicUrl: URL | null;
  readonly #corsOrigins: readonly string[];
  readonly #isSecure: boolean;

  constructor({ publicUrl, corsOrigins }: SessionCookieOptions) {
    this.#publicUrl = publicUrl;
    this.#corsOrigins = corsOrigins;
    this.#isSecure = publicUrl?.protocol === "https:";
  }

  /** The session of a request; undefined: no cookie was sent. A cookie that does not count is a refusal. */
  read(context: Context): InSession | CourierError | undefined {
    const session = getCookie(context, this.#name(context.req), this.#isSecure ? "host" : undefined);
    if (session === undefined || session === "") return undefined;
    return this.refusal(context) ?? { session };
  }

  /** Why a request may not use a session; undefined: it comes from a page of this server, or from no page. */
  refusal({ req }: Context): CourierError | undefined {
    const origin = req.header("origin");
    const site = req.header("sec-fetch-site");
    const isOwn = origin === undefined || (origin === this.#ownOrigin(req) && !this.#corsOrigins.includes(origin));
    if (isOwn && (site === undefined || site === "none" || site === "same-origin")) return undefined;
    return new CourierError("unauthenticated", "A session counts only for the pages of gpu-server itself", {
      hint: "Behind a proxy, start gpu-server with --public-url and the address that browsers use. Other pages send a token",
    });
  }

  set(context: Context, { session }: InSession, maxAgeS: number): void {
    const always = { path: "/", httpOnly: true, sameSite: "Strict", maxAge: maxAgeS } as const;
    const secure = this.#isSecure ? ({ secure: true, prefix: "host" } as const) : {};
    setCookie(context, this.#name(context.req), session, { ...always, ...secure });
  }

  clear(context: Context): void {
    this.set(context, { session: "" }, 0);
  }

  /** With the port, if there is no TLS: browsers keep one cookie of a name for all ports of a host. */
  #name(req: HonoRequest): string {
    if (this.#isSecure) return "gpu-courier";
    const port = /:(\d{1,5})$/.exec(req.header("host") ?? "")?.[1];
    return port === undefined ? "gpu-courier" : `gpu-courier-${port}`;
  }

  /** Undefined: the request does not say. */
  #ownOrigin(req: HonoRequest): string | undefined {
    if (this.#publicUrl !== null) return this.#publicUrl.origin;
    const host = req.header("host");
    return host === undefined ? undefined : URL.parse(`http://${host}`)?.origin;
  }
}
