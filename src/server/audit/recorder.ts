// Records who changes what: each changing command that the courier sends, and each changing request that sends none.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Context, MiddlewareHandler } from "hono";
import { tryDecodeURIComponent } from "hono/utils/url";
import { CourierError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { Request } from "../../courier/mailbox/mailbox.ts";
import type { Witness } from "../../courier/requests.ts";
import { AgentName, type Response } from "../../protocol.ts";
import { changesNothing } from "../access/route_needs.ts";
import { type Env, peerOf, senderOf } from "../http/env.ts";
import { codeOf } from "../http/problem.ts";
import { OLLAMA_PREFIX } from "../http/request_target.ts";
import type { AuditLog } from "./audit_log.ts";
import { cut, type NewEntry, newEntry } from "./new_entry.ts";

export interface RecorderDeps {
  readonly audit: Pick<AuditLog, "add" | "end">;
  /** The id of the key that signs commands; null: they are not signed. */
  readonly keyId: () => string | null;
  readonly log: Log;
}

/** A request while it is served. */
interface Scope {
  readonly context: Context<Env>;
  readonly id: string;
  readonly peer: string;
  hasSent: boolean;
  /** Why the first command to an unknown agent was not sent: the response may be a success that lists it as failed. */
  unsent: CourierError | null;
}

/** A part of the server that sends commands of its own accord. */
interface OwnWork {
  readonly who: string;
  /** As `request` of its entries. */
  readonly request: string;
}

/** Routes need not know of it: a command belongs to the request in whose course it is sent. */
export class Recorder implements Witness {
  readonly #deps: RecorderDeps;
  readonly #scopes = new AsyncLocalStorage<Scope>();
  readonly #ownWork = new AsyncLocalStorage<OwnWork>();
  #failedWrites = 0;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
  }

  /**
   * Goes around every request. It skips those without a known sender, of which anybody may send any number, and those that
   * came too fast. The log counts both.
   */
  readonly middleware: MiddlewareHandler<Env> = async (context, next) => {
    // Now: a body without a length makes another request of it, which has no address.
    const peer = peerOf(context);
    const scope: Scope = { context, id: context.get("requestId"), peer, hasSent: false, unsent: null };
    await this.#scopes.run(scope, next);
    const { status } = context.res;
    const isReading = changesNothing(context.req.method, context.req.path);
    if (isReading || scope.hasSent || status === 429 || senderOf(context) === undefined) return;
    const what = { verb: null, agent: agentIn(context), model: null, details: await bodyOf(context), key: null };
    const outcome = codeOf(status) ?? scope.unsent?.code ?? "ok";
    const entry = newEntry({ ...originOf(scope), ...what, outcome, job: null });
    this.#write(() => this.#deps.audit.add(entry, accountOf(scope)));
    this.#print(entry);
  };

  /** Names what sends the commands of this work, which serves no request. */
  async byItself(own: OwnWork, work: () => Promise<void>): Promise<void> {
    await this.#scopes.exit(async () => await this.#ownWork.run(own, work));
  }

  /** The request is one entry, a refused one if it sends nothing else. */
  notSent(reason: CourierError): void {
    const scope = this.#scopes.getStore();
    if (scope !== undefined) scope.unsent ??= reason;
  }

  /** The entry is there before the command is sent: a crash loses only its outcome. */
  begin(agent: string, { verb, modelName, arguments: given }: Request): (ended: Response | CourierError) => void {
    const { audit, keyId } = this.#deps;
    const scope = this.#scopes.getStore();
    if (scope !== undefined) scope.hasSent = true;
    const details = given === undefined ? null : JSON.stringify(given);
    const what = { verb, agent, model: modelName ?? null, details, key: keyId() };
    const origin = scope === undefined ? originOfOwn(this.#ownWork.getStore()) : originOf(scope);
    const entry = newEntry({ ...origin, ...what, outcome: null, job: null });
    const number = this.#write(() => audit.add(entry, accountOf(scope)));
    return (ended) => {
      const isError = ended instanceof CourierError;
      const outcome = isError ? ended.code : "ok";
      const job = isError ? null : (ended.job?.id ?? null);
      if (number !== undefined) this.#write(() => audit.end(number, outcome, job));
      this.#print({ ...entry, outcome, job });
    };
  }

  /** A full disk must not stop the boxes from being served: the log is the second copy. */
  #write<Result>(write: () => Result): Result | undefined {
    const { log } = this.#deps;
    try {
      const result = write();
      if (this.#failedWrites > 0) log.warn({ failed_writes: this.#failedWrites }, "The audit can be written again");
      this.#failedWrites = 0;
      return result;
    } catch (error) {
      const hint = "Look for its entries in the log, by the message Audit, until it can be written again";
      if (this.#failedWrites === 0) log.error({ error, hint }, "Cannot write the audit");
      this.#failedWrites += 1;
      return undefined;
    }
  }

  #print(entry: NewEntry): void {
    const known = Object.entries(entry).filter(([, value]) => value !== null);
    this.#deps.log.info(Object.fromEntries(known), "Audit");
  }
}

/** @param own undefined: of the server as a whole */
function originOfOwn(own: OwnWork | undefined) {
  const { request = null, who = null } = own ?? {};
  return { request, request_id: null, who, way: own === undefined ? null : "server", peer: null };
}

function originOf({ context, id, peer }: Scope) {
  const { name = null, way = null } = senderOf(context) ?? {};
  return { request: `${context.req.method} ${context.req.path}`, request_id: id, who: name, way, peer };
}

/** Whose share of the audit it uses; null: that of the sender alone. */
function accountOf(scope: Scope | undefined): string | null {
  return scope === undefined ? null : (senderOf(scope.context)?.accounts?.audit ?? null);
}

function agentIn({ req }: Context<Env>): string | null {
  const inPath = /^(?:\/v1)?\/agents\/([^/]+)/.exec(req.path)?.[1];
  const named = inPath === undefined ? req.query("agent") : tryDecodeURIComponent(inPath);
  return AgentName.safeParse(named).data ?? null;
}

/**
 * What the route made of it, without fields that it does not know: a caller must not push out what it changes. Of a body
 * that the route refused, the beginning of its text. One over the limit was not read to its end.
 */
async function bodyOf({ req }: Context<Env, string, { out: { json: unknown } }>): Promise<string | null> {
  const valid = req.valid("json");
  if (valid !== undefined) return JSON.stringify(valid);
  // Clients of Ollama send prompts there: they are refused, and nobody else's business.
  if (req.path.startsWith(OLLAMA_PREFIX)) return null;
  const read = Promise.resolve(req.bodyCache.text).catch(() => undefined);
  return cut((await read) ?? null);
}
