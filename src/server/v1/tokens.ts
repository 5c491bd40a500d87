// /v1/tokens: adding, listing and revoking own tokens, with `--manage-tokens`.
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { isoTime } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import { Instant, orNull } from "../../documents/named.ts";
import { AgentName, Verb } from "../../protocol.ts";
import { type Caller, describeCaller, isHeldToLimits } from "../access/caller.ts";
import { beyondOwner, isWithinScope, requireUsable } from "../access/token_rules.ts";
import { requireJson } from "../http/body.ts";
import { callerOf, type Env } from "../http/env.ts";
import type { WholeServices } from "../services.ts";
import { MOST_ADDED_TOKENS } from "../store/added_tokens.ts";
import { hashOfToken } from "../store/new_token.ts";
import type { TokenNote } from "../store/token_notes.ts";
import { Role, type TokenEntry } from "../store/tokens.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { bodyOf, json, security } from "./schema/schemas.ts";

const TokenVerb = Verb.exclude(["ping"]);
const MOST_AGENTS = 1_000;
const LAST_MS = Date.UTC(10_000, 0) - 1;

const Token = z
  .object({
    name: z.string(),
    role: Role,
    agents: orNull(z.array(AgentName)).meta({ description: "The only agents that it sees; null: all" }),
    verbs: orNull(z.array(Verb)).meta({ description: "All that it may do; null: what the role permits" }),
    created_at: Instant,
    created_by: orNull(z.string()).meta({
      description: "The token that added it; null: somebody on the server's machine",
    }),
    expires_at: orNull(Instant),
    last_used_at: orNull(Instant).meta({ description: "To the minute; null: not since this is recorded" }),
  })
  .meta({ id: "Token", description: "A token without the token itself, which is not stored" });
const TokenList = z.object({ tokens: z.array(Token) }).meta({ id: "Tokens" });
const NewToken = z
  .object({ token: z.string().meta({ description: "Shown only here" }), ...Token.shape })
  .meta({ id: "NewToken" });

const TokenRequest = bodyOf({
  name: z.string().min(1).max(64).meta({ description: "`A-Z a-z 0-9 _ . @ -`, at most 64" }),
  role: Role,
  agents: orNull(z.array(AgentName).min(1).max(MOST_AGENTS)).optional(),
  verbs: orNull(z.array(TokenVerb).min(1)).optional(),
  expires_at: orNull(z.iso.datetime({ offset: true })).optional(),
}).meta({ id: "TokenRequest", description: "A limit that is left out is as that of the token that sends this" });

const EXAMPLE: z.infer<typeof Token> = {
  name: "grafana",
  role: "viewer",
  agents: null,
  verbs: null,
  created_at: "2026-11-28T03:37:13.995Z",
  created_by: "platform",
  expires_at: "2027-06-01T23:59:59.999Z",
  last_used_at: null,
};
const COMMON = {
  tags: ["tokens"],
  security,
};
const WHO = "Needs `gpu-server --manage-tokens` and an own token of the role `gp`, without verbs.";

const listTokens = createRoute({
  ...COMMON,
  method: "get",
  path: "/v1/tokens",
  operationId: "listTokens",
  summary: "List the tokens of gpu-server",
  description: `Those that see no other agents than the caller. ${WHO}`,
  request: { query: QUERY.none },
  responses: { 200: json("The tokens", TokenList, { tokens: [EXAMPLE] }), ...failures() },
});

const addToken = createRoute({
  ...COMMON,
  method: "post",
  path: "/v1/tokens",
  operationId: "addToken",
  summary: "Add a token of gpu-server",
  description: `It never permits more, and never lives longer, than the one that adds it, and stays when that one is revoked. A token adds at most ${MOST_ADDED_TOKENS}, with those that these add: then it is a 409. ${WHO}`,
  middleware: requireJson,
  request: {
    query: QUERY.none,
    body: { ...json("The token", TokenRequest, { name: "grafana", role: "viewer" }), required: true },
  },
  responses: {
    201: json("The new token", NewToken, { token: "gpuc_Zr0mT3q9x1cV5bN7hJ2kL4pS6dF8gA0wE_yU-iOQnMl", ...EXAMPLE }),
    ...failures(409, 413, 415),
  },
});

const revokeToken = createRoute({
  ...COMMON,
  method: "delete",
  path: "/v1/tokens/{name}",
  operationId: "revokeToken",
  summary: "Revoke a token of gpu-server",
  description: `It ends at once, with its sessions and event streams. One that permits more, or lives longer, than the caller is a 403. ${WHO}`,
  request: {
    params: z.object({ name: z.string().max(64).meta({ example: "grafana" }) }),
    query: QUERY.none,
  },
  responses: { 204: { description: "It is revoked" }, ...failures(404) },
});

type Parts = Pick<WholeServices, "tokens" | "tokenNotes" | "managesTokens" | "clock">;

export function addTokenRoutes(app: OpenAPIHono<Env>, parts: Parts): void {
  const { tokens, tokenNotes, clock } = parts;
  app.openapi(listTokens, (context) => {
    const owner = ownerOf(callerOf(context), parts);
    const seen = tokens.list().filter((entry) => isWithinScope(entry, owner));
    const notes = tokenNotes.byName();
    return context.json({ tokens: seen.map((entry) => tokenDocument(entry, notes.get(entry.name))) }, 200);
  });

  app.openapi(addToken, async (context) => {
    const caller = callerOf(context);
    const owner = ownerOf(caller, parts);
    const { name, role, agents = owner.agents, verbs = owner.verbs, expires_at } = context.req.valid("json");
    const end = expires_at === undefined || expires_at === null ? null : endOf(expires_at, clock.now());
    const limits = { agents, verbs, expiresAtMs: expires_at === undefined ? owner.expiresAtMs : end };
    const refusal = beyondOwner(limits, owner);
    if (refusal !== undefined) throw refusal;
    requireUsable(role, limits);
    const token = await tokens.add(name, role, limits, { ...owner, isHeldToLimits: isHeldToLimits(caller) });
    const hash = hashOfToken(token);
    tokenNotes.create(hash, owner.name);
    return context.json({ token, ...tokenDocument(entryNamed(name, parts), tokenNotes.of(hash)) }, 201);
  });

  app.openapi(revokeToken, async (context) => {
    const owner = ownerOf(callerOf(context), parts);
    const { name } = context.req.valid("param");
    const entry = entryNamed(name, parts);
    if (!isWithinScope(entry, owner)) throw unknownToken(name);
    const refusal = beyondOwner(entry, owner);
    if (refusal !== undefined)
      throw new CourierError("forbidden", `Token "${name}" lives longer than "${owner.name}"`, {
        hint: `Revoke it on the server's machine: gpu-server token revoke ${name}`,
      });
    await tokens.revoke(name);
    return context.body(null, 204);
  });
}

/** The caller's own token: a session ends earlier than it. @throws CourierError `forbidden` for one who may not manage tokens */
function ownerOf(caller: Caller, { tokens, managesTokens }: Parts): TokenEntry {
  if (!managesTokens)
    throw new CourierError("forbidden", "This gpu-server manages tokens only on its own machine", {
      hint: "Use gpu-server token, or start it with --manage-tokens",
    });
  const owner = caller.way === "token" ? tokens.list().find(({ name }) => name === caller.name) : undefined;
  if (owner !== undefined && owner.role === "gp" && owner.verbs === null) return owner;
  throw new CourierError("forbidden", `${describeCaller(caller)} may not manage tokens`, {
    hint: "Use an own token of the role gp without verbs",
  });
}

function entryNamed(name: string, { tokens }: Parts): TokenEntry {
  const entry = tokens.list().find((each) => each.name === name);
  if (entry !== undefined) return entry;
  throw unknownToken(name);
}

function unknownToken(name: string): CourierError {
  return new CourierError("not_found", `No token is named ${JSON.stringify(name)}`, { hint: "See: GET /v1/tokens" });
}

function endOf(instant: string, nowMs: number): number {
  const atMs = Date.parse(instant);
  if (atMs > nowMs && atMs <= LAST_MS) return atMs;
  throw new CourierError("invalid", "expires_at must be a time to come", {
    hint: "Leave it out for a token without end",
  });
}

function tokenDocument(entry: TokenEntry, { created_by, last_used_ms }: TokenNote): z.infer<typeof Token> {
  const { name, role, created_at, expiresAtMs } = entry;
  return {
    name,
    role,
    agents: entry.agents && [...entry.agents],
    verbs: entry.verbs && [...entry.verbs],
    created_at,
    created_by,
    expires_at: expiresAtMs === null ? null : isoTime(expiresAtMs),
    last_used_at: last_used_ms === null ? null : isoTime(last_used_ms),
  };
}
