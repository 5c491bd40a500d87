// What each route needs of a caller whose agents or verbs are limited.
import { TrieRouter } from "hono/router/trie-router";
import { CourierError } from "../../base/errors.ts";
import { firstOf } from "../../courier/named.ts";
import type { Verb } from "../../protocol.ts";
import { type Caller, describeCaller } from "./caller.ts";

/**
 * A verb, or one that must be for all agents, or `any`: every caller may use it, or `no limits`: it shows or changes more than
 * the agents of a caller.
 */
type Need = Verb | OnAll | "any" | "no limits";

interface OnAll {
  readonly onAll: Verb;
}

const onAll = (verb: Verb): OnAll => ({ onAll: verb });

/** A HEAD is as its GET. A route that is missing here needs `no limits`; any other path gets 404 or 405. */
const NEEDS: Readonly<Record<string, Need>> = {
  "GET /v1/agents": "any",
  "GET /v1/agents/:agent": "any",
  "DELETE /v1/agents/:agent": "no limits",
  "POST /v1/agents/:agent/ping": "any",
  "GET /v1/agents/:agent/models": "list_models",
  "GET /v1/agents/:agent/models/:model": "show_model",
  "DELETE /v1/agents/:agent/models/:model": "delete_model",
  "POST /v1/agents/:agent/models/:model/copy": "copy_model",
  "POST /v1/agents/:agent/models/:model/load": "load_model",
  "POST /v1/agents/:agent/models/:model/unload": "unload_model",
  "GET /v1/agents/:agent/running": "list_running",
  "GET /v1/agents/:agent/disk": "disk_usage",
  "POST /v1/agents/:agent/prune": "prune",
  "POST /v1/agents/:agent/trust": "no limits",
  "GET /v1/models": "list_models",
  "GET /v1/updates": "list_models",
  "GET /v1/desired": "list_models",
  "GET /v1/mirror": "list_models",
  "GET /v1/mirror/fetches": "list_jobs",
  "POST /v1/mirror/fetches": onAll("pull_model"),
  "GET /v1/mirror/fetches/:id": "list_jobs",
  "DELETE /v1/mirror/fetches/:id": onAll("cancel_job"),
  "DELETE /v1/mirror/models/:model": onAll("delete_model"),
  "POST /v1/mirror/gc": onAll("delete_model"),
  "GET /v1/fit": "published_model",
  "GET /v1/jobs": "list_jobs",
  "POST /v1/jobs": "pull_model",
  "GET /v1/jobs/:id": "list_jobs",
  "POST /v1/jobs/:id/cancel": "cancel_job",
  "GET /v1/jobs/:id/events": "list_jobs",
  "GET /v1/events": "list_jobs",
  "GET /v1/session": "any",
  "POST /v1/tickets": "list_jobs",
  "GET /v1/refused": "list_jobs",
  "GET /v1/doctor": "no limits",
  "GET /v1/setup": "no limits",
  "GET /v1/tokens": "any",
  "POST /v1/tokens": "any",
  "DELETE /v1/tokens/:name": "any",
  "GET /v1/active-models": "list_models",
  "POST /v1/active-models": "no limits",
  "GET /v1/catalog": "any",
  "GET /v1/audit": "no limits",
  "GET /v1/webhooks/deliveries": "no limits",
  "GET /agents/:agent/api/version": "any",
  "GET /agents/:agent/api/tags": "list_models",
  "GET /agents/:agent/api/ps": "list_running",
  "POST /agents/:agent/api/show": "show_model",
  "POST /agents/:agent/api/pull": "pull_model",
  "DELETE /agents/:agent/api/delete": "delete_model",
  "POST /agents/:agent/api/copy": "copy_model",
  // Only the body decides between loading and unloading: see `requireVerb()`.
  "POST /agents/:agent/api/generate": "any",
  "POST /agents/:agent/api/chat": "any",
  "GET /agents/:agent/v1/models": "list_models",
  "GET /agents/:agent/v1/models/:model{.+}": "list_models",
  "GET /agents/:agent/:unserved{(?:api/(?:push|create|embed|embeddings|me|signout|(?:blobs|experimental)/.+)|v1/.+)}":
    "any",
  "POST /agents/:agent/:unserved{(?:api/(?:push|create|embed|embeddings|me|signout|(?:blobs|experimental)/.+)|v1/.+)}":
    "any",
  "GET /metrics": "any",
  "GET /api/health": "any",
  "GET /api/models": "list_models",
  "POST /api/models/:name{.+}": "pull_model",
  "DELETE /api/models/:name{.+}": "delete_model",
  "GET /api/config/models": "list_models",
  "GET /api/config/available-models": "any",
  "POST /api/config/pull-model": "pull_model",
  "DELETE /api/config/delete-model": "delete_model",
  "POST /api/config/set-active-model": "no limits",
};

const READING: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
/** What a ticket is for: nothing else is open to it. */
const STREAM = /^\/v1\/(?:events|jobs\/[^/]+\/events)$/;

/** hono's own, so that a path is the same route here as in the app. */
const routes = new TrieRouter<Need>();
for (const [route, need] of Object.entries(NEEDS)) {
  const [method = "", path = ""] = route.split(" ");
  routes.add(method, path, need);
}

/** They read, although they are a POST. */
const READING_POST = /^\/v1\/tickets$|^\/v1\/agents\/[^/]+\/ping$|^\/agents\/[^/]+\/api\/show$/;

/**
 * Whether a request only reads. A ticket and a session let their owner read what the token shows anyway; a ping changes
 * nothing. A viewer could push everything else out of the audit with them.
 */
export function changesNothing(method: string, path: string): boolean {
  return READING.has(method) || path === "/v1/session" || (method === "POST" && READING_POST.test(path));
}

/** Whether a request opens an event stream. */
export function takesTicket(method: string, path: string): boolean {
  return (method === "GET" || method === "HEAD") && STREAM.test(path);
}

/** Why the limits of a caller do not permit a request; undefined: they do. */
export function beyondLimits(caller: Caller, method: string, path: string): CourierError | undefined {
  const { agents, verbs } = caller;
  if (agents === null && verbs === null) return undefined;
  const need = routes.match(method === "HEAD" ? "GET" : method, path)[0][0]?.[0] ?? "no limits";
  if (need === "any") return undefined;
  if (typeof need === "object") return agents === null && may(caller, need.onAll) ? undefined : beyond(caller, need);
  return need !== "no limits" && may(caller, need) ? undefined : beyond(caller, need);
}

function may({ verbs }: Caller, verb: Verb): boolean {
  return verbs?.has(verb) !== false;
}

/** For what concerns every agent only because of the body. @throws CourierError `forbidden` for a caller that sees only some */
export function requireOnAll(caller: Caller, verb: Verb): void {
  if (caller.agents !== null || !may(caller, verb)) throw beyond(caller, onAll(verb));
}

/** For a route whose verb depends on the body. @throws CourierError `forbidden` for a caller that may not use it */
export function requireVerb(caller: Caller, verb: Verb): void {
  if (!may(caller, verb)) throw beyond(caller, verb);
}

function beyond(caller: Caller, need: Exclude<Need, "any">): CourierError {
  const { agents, verbs } = caller;
  const what =
    need === "no limits"
      ? "what only a token without limits may use"
      : typeof need === "object"
        ? `${need.onAll} for all agents`
        : need;
  const where = agents === null ? "" : ` on ${firstOf([...agents], (agent) => agent)}`;
  return new CourierError("forbidden", `${describeCaller(caller)} may not use ${what}`, {
    hint: `It may use ${verbs === null ? `what the role ${caller.role} permits` : [...verbs].join(", ")}${where}`,
  });
}
