// A stand-in for the platform's backend as FastAPI programs are usually made: HS256 tokens with `sub` and `exp`, the role in
// its database, and `GET /users/me`. For tests.
import { createHmac } from "node:crypto";
import type { Clock } from "#src/base/clock.ts";

export interface PlatformOptions {
  /** The role of each user. */
  readonly users: Readonly<Record<string, string>>;
  readonly secret?: string;
  readonly clock: Pick<Clock, "now">;
}

const UNAUTHORIZED = { status: 401, headers: { "www-authenticate": "Bearer" } };
const LIFETIME_S = 1_800;

export class SimulatedPlatform {
  /** Answers every request in this way instead; null: as usual. */
  fault: (() => Response | Promise<Response>) | null = null;
  /** The address of its "who am I" route. */
  readonly whoAmI: string;
  /** The tokens that it was asked about. */
  readonly asked: string[] = [];
  readonly #roles: Map<string, string>;
  readonly #revoked = new Set<string>();
  readonly #secret: string;
  readonly #clock: Pick<Clock, "now">;
  readonly #server: Bun.Server<undefined>;

  /** Listens on a free port of 127.0.0.1. */
  constructor({ users, secret = "the platform's secret, 40 bytes long ...", clock }: PlatformOptions) {
    this.#roles = new Map(Object.entries(users));
    this.#secret = secret;
    this.#clock = clock;
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: async (request) => await this.#answer(request) });
    this.whoAmI = `${this.#server.url.origin}/users/me`;
  }

  /** A new token. @param lifetimeS may be negative: it has expired */
  login(username: string, lifetimeS = LIFETIME_S): string {
    const exp = Math.floor(this.#clock.now() / 1000) + lifetimeS;
    const signed = `${encoded({ alg: "HS256", typ: "JWT" })}.${encoded({ sub: username, exp })}`;
    return `${signed}.${this.#signatureOf(signed)}`;
  }

  revoke(token: string): void {
    this.#revoked.add(token);
  }

  setRole(username: string, role: string): void {
    this.#roles.set(username, role);
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    if (this.fault !== null) return await this.fault();
    if (new URL(request.url).pathname !== "/users/me") return Response.json({ detail: "Not Found" }, { status: 404 });
    const token = /^Bearer (\S+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (token === undefined) return Response.json({ detail: "Not authenticated" }, UNAUTHORIZED);
    this.asked.push(token);
    const username = this.#userOf(token);
    const role = this.#roles.get(username ?? "");
    if (role === undefined) return Response.json({ detail: "Could not validate credentials" }, UNAUTHORIZED);
    return Response.json({ id: 7, username, email: `${username}@platform.example`, is_active: true, role });
  }

  /** Undefined: the token does not count. */
  #userOf(token: string): string | undefined {
    const [head = "", body = "", signature] = token.split(".");
    if (this.#revoked.has(token) || signature !== this.#signatureOf(`${head}.${body}`)) return undefined;
    const { sub, exp } = JSON.parse(Buffer.from(body, "base64url").toString());
    return exp * 1000 > this.#clock.now() ? sub : undefined;
  }

  #signatureOf(text: string): string {
    return createHmac("sha256", this.#secret).update(text).digest("base64url");
  }
}

function encoded(document: object): string {
  return Buffer.from(JSON.stringify(document)).toString("base64url");
}
