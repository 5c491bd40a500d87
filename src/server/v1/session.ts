// /v1/session: signing in and out in a browser, and who is signed in.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { isoTime } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { Instant, orNull } from "../../documents/named.ts";
import { AgentName, Verb } from "../../protocol.ts";
import type { Authenticator } from "../access/authenticator.ts";
import { type Caller, describeCaller } from "../access/caller.ts";
import { permissionsOf, RouteVerb } from "../access/sessions/permissions.ts";
import type { InSession, Sessions } from "../access/sessions/sessions.ts";
import { limitBody, requireJson } from "../http/body.ts";
import { callerOf, type Env, peerOf } from "../http/env.ts";
import { type AccessDeps, admit, requireRate } from "../http/guard/admission.ts";
import type { SessionCookie } from "../http/guard/session_cookie.ts";
import { failWith } from "../http/problem.ts";
import type { WholeServices } from "../services.ts";
import { Role } from "../store/tokens.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { bodyOf, json, security } from "./schema/schemas.ts";

export interface SessionParts {
  readonly sessions: Sessions;
  readonly cookie: SessionCookie;
  readonly access: AccessDeps & { readonly authenticator: Pick<Authenticator, "authenticate" | "authenticateHash"> };
}

const may = z.boolean();
const Permissions = z
  .object({
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- fromEntries() loses which keys there are
    ...(Object.fromEntries(RouteVerb.options.map((verb) => [verb, may])) as Record<
      (typeof RouteVerb.options)[number],
      typeof may
    >),
    change: may.meta({ description: "Anything at all" }),
    set_active_models: may,
    trust_agents: may,
    forget_agents: may,
    examine: may.meta({ description: "Read `/v1/doctor`" }),
    read_audit: may,
    show_setup: may,
    manage_tokens: may.meta({ description: "Only with `gpu-server --manage-tokens`" }),
  })
  .meta({ id: "Permissions", description: "What the caller may do: a page leaves the rest out" });

const Session = z
  .object({
    name: z.string().meta({ description: "Of the token, or of the platform's user" }),
    way: z.enum(["token", "introspection", "jwt"]).meta({ description: "How the caller showed who it is" }),
    role: Role,
    scope: z.object({
      agents: orNull(z.array(AgentName)).meta({ description: "The only agents that it sees; null: all" }),
      verbs: orNull(z.array(Verb)).meta({ description: "All that it may do; null: what the role permits" }),
    }),
    expires_at: orNull(Instant).meta({
      description: "The end of the session or of the token; null: of a token without end",
    }),
    may: Permissions,
  })
  .meta({ id: "Session", description: "Who is signed in, and what that permits" });
type Session = z.infer<typeof Session>;

const SECRET_CHARACTERS = 16_000;
const secret = z.string().regex(/^\S+$/, "must be one word").max(SECRET_CHARACTERS).optional();
const SignIn = bodyOf({
  token: secret.meta({ description: "An own token, or one of the platform's login" }),
  code: secret.meta({ description: "What a sign-in link has behind `#code=`: see `gpu-server sign-in-link`" }),
})
  .refine(({ token, code }) => (token === undefined) !== (code === undefined), "give either token or code")
  .meta({ id: "SignIn" });

const VIEWER: Caller = {
  name: "dashboard",
  way: "token",
  role: "viewer",
  agents: null,
  verbs: null,
  expiresAtMs: 1_795_880_233_995,
};
const EXAMPLE = sessionDocument(VIEWER, { managesTokens: false });

const signIn = createRoute({
  method: "post",
  path: "/v1/session",
  operationId: "signIn",
  tags: ["session"],
  summary: "Sign in with a browser",
  description:
    "Sets a cookie for 12 h at most: the session ends with its token. It counts only for requests from pages of gpu-server itself. " +
    "Programs send a token with each request instead. A code signs nobody in over the session of somebody else: that is a 409, and " +
    "nothing is used up. A caller has at most 20 sessions: a further one ends the oldest.",
  security: [],
  middleware: [limitBody, requireJson] as const,
  request: {
    query: QUERY.none,
    body: {
      ...json("A token or a code", SignIn, { token: "gpuc_Zr0mT3q9x1cV5bN7hJ2kL4pS6dF8gA0wE_yU-iOQnMl" }),
      required: true,
    },
  },
  responses: { 200: json("Who is signed in", Session, EXAMPLE), ...failures(409, 413, 415) },
});

const showSession = createRoute({
  method: "get",
  path: "/v1/session",
  operationId: "showSession",
  tags: ["session"],
  summary: "Show who sends the request",
  description: "With a session or with a token.",
  security,
  request: { query: QUERY.none },
  responses: { 200: json("Who it is", Session, EXAMPLE), ...failures() },
});

const signOut = createRoute({
  method: "delete",
  path: "/v1/session",
  operationId: "signOut",
  tags: ["session"],
  summary: "End the session",
  security: [],
  request: { query: QUERY.none },
  responses: { 204: { description: "It has ended, or there was none" }, ...failures() },
});

/** Needs no token: must come before what requires one. */
export function addSignInRoutes(
  app: OpenAPIHono<Env>,
  { clock, log, managesTokens }: Pick<WholeServices, "clock" | "log" | "managesTokens">,
  parts: SessionParts,
): void {
  const { cookie, access } = parts;
  app.openapi(signIn, async (context) => {
    requireOwnPage(context, cookie);
    const { token, code } = context.req.valid("json");
    const session = await (code === undefined
      ? withToken(context, token ?? "", parts)
      : withCode(context, code, parts));
    const caller = await access.authenticator.authenticate(session);
    if (caller instanceof CourierError) throw caller;
    await endSession(context, parts);
    const { expiresAtMs } = caller;
    const leftS = Math.floor(((expiresAtMs ?? 0) - clock.now()) / 1000);
    cookie.set(context, session, leftS);
    log.info({ token: caller.name, with: code === undefined ? "token" : "code", peer: peerOf(context) }, "Signed in");
    return context.json(sessionDocument(caller, { managesTokens }), 200);
  });

  app.openapi(signOut, async (context) => {
    requireOwnPage(context, cookie);
    await endSession(context, parts);
    cookie.clear(context);
    return context.body(null, 204);
  });
}

export function addSessionRoute(app: OpenAPIHono<Env>, { managesTokens }: Pick<WholeServices, "managesTokens">): void {
  app.openapi(showSession, (context) => context.json(sessionDocument(callerOf(context), { managesTokens }), 200));
}

async function withToken(context: Context<Env>, token: string, { sessions, access }: SessionParts): Promise<InSession> {
  const caller = await admit(context, `Bearer ${token}`, access);
  requirePerson(caller);
  return orTooMany(await sessions.begin(caller, token));
}

/** @throws CourierError `forbidden` for a token that only boxes have a use for */
function requirePerson(caller: Caller): void {
  if (caller.role === "mirror")
    throw new CourierError("forbidden", `${describeCaller(caller)} is for boxes that read the mirror`, {
      hint: "Sign in with a token of the role gp or viewer",
    });
}

/** The code is used up last: a refusal leaves it as it was. */
async function withCode(context: Context<Env>, code: string, parts: SessionParts): Promise<InSession> {
  const { sessions, access } = parts;
  const known = <Found>(found: Found | CourierError): Found => {
    if (!(found instanceof CourierError)) return found;
    access.refusedLogins.add(peerOf(context), found);
    throw found;
  };
  const caller = known(access.authenticator.authenticateHash(known(sessions.tokenOf(code))));
  requirePerson(caller);
  requireRate(context, caller, access.rate);
  await requireNobodyElse(context, caller, parts);
  return orTooMany(known(await sessions.redeem(code)));
}

/** Its maker may want others to work under its token without noticing. A token is typed in by the user. */
async function requireNobodyElse(
  context: Context<Env>,
  { name, way }: Caller,
  { cookie, access }: SessionParts,
): Promise<void> {
  const session = cookie.read(context);
  if (session === undefined || session instanceof CourierError) return;
  const present = await access.authenticator.authenticate(session);
  const isRefused = present instanceof CourierError;
  if (isRefused ? present.code === "unauthenticated" : present.name === name && present.way === way) return;
  const who = isRefused ? "as somebody else" : `as "${present.name}"`;
  throw new CourierError("conflict", `This browser is signed in ${who}, and the link is of "${name}"`, {
    hint: "Sign out first, and open the link again: it was not used up",
  });
}

/** The one that the request has, if any: signing in again replaces it. */
async function endSession(context: Context<Env>, { sessions, cookie }: SessionParts): Promise<void> {
  const session = cookie.read(context);
  if (session !== undefined && !(session instanceof CourierError)) await sessions.end(session);
}

function orTooMany<Begun>(session: Begun | undefined): Begun {
  if (session !== undefined) return session;
  throw failWith(429, "Too many sessions are open", "Sign out somewhere, or wait until some have ended");
}

/** Another page must not sign anybody in or out. */
function requireOwnPage(context: Context<Env>, cookie: SessionCookie): void {
  const refusal = cookie.refusal(context);
  if (refusal !== undefined) throw new CourierError("forbidden", refusal.message, { hint: refusal.hint });
}

function sessionDocument(caller: Caller, server: { readonly managesTokens: boolean }): Session {
  const { name, way, role, agents, verbs, expiresAtMs } = caller;
  return {
    name,
    way: way === "trusted" ? "token" : way,
    role,
    scope: { agents: agents && [...agents], verbs: verbs && [...verbs] },
    expires_at: expiresAtMs === null ? null : isoTime(expiresAtMs),
    may: permissionsOf(caller, server),
  };
}
