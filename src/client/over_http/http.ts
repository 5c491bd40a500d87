// Requests to gpu-server: bounded in size and time, checked against the schemas of the documents.
import type { z } from "zod";
import type { Clock } from "../../base/clock.ts";
import { CourierError } from "../../base/errors.ts";
import type { Waits } from "../../courier/requests.ts";
import type { ServerAddress } from "./address.ts";
import { notGpuServer, notReached, refusalError } from "./failures.ts";

export interface HttpOptions {
  readonly address: ServerAddress;
  readonly token: string;
  /** The certificates of authorities, in PEM; undefined: those of Bun. */
  readonly ca: readonly string[] | undefined;
  /** Of the program: `gpuctl/0.1.0`. */
  readonly userAgent: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly waits: Waits | null;
  /** Ends every request. */
  readonly signal: AbortSignal;
}

interface Sent {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
  /** Whose answer it waits for; null: nobody need know of it. Otherwise the path shows that. */
  readonly awaited?: string | null;
  /** For a request that takes the server longer than others. */
  readonly minimumMs?: number;
}

/** One request, which is sent again while the server refuses it. */
interface Attempt {
  readonly isChange: boolean;
  /** The server refused it, and it was not sent again since. */
  isRefused: boolean;
}

interface Kept {
  readonly etag: string;
  readonly text: string;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly headers: Headers;
}

/** A page of a list has at most a few megabytes, the details of a model as many. */
const MAX_BYTES = 32 * 1024 * 1024;
/** All pages of a list together, and all that is kept, in characters. */
const MAX_LIST = 128 * 1024 * 1024;
/** gpu-server waits for an agent as long as gpuctl may: its own error says more. */
const GRACE_MS = 2_000;
const MAX_KEPT = 50;
/** More can only be an error of the server. */
const MAX_PAGES = 1_000;
const MAY_RUN = "It may still run: check before sending it again";
const MAX_RETRY_MS = 10_000;
/** A smaller difference is within the second of the Date header. */
const CLOCK_DIFFERENCE_MS = 1_500;

export class ServerHttp {
  readonly base: string;
  readonly #options: HttpOptions;
  /** A list that is polled is sent again only after a change. */
  readonly #kept = new Map<string, Kept>();
  #clockOffsetMs = 0;

  constructor(options: HttpOptions) {
    this.base = options.address.base;
    this.#options = options;
  }

  /** The time of the server, in ms since 1970, as far as its responses show. */
  now(): number {
    return this.#options.clock.now() + this.#clockOffsetMs;
  }

  async get<Schema extends z.ZodType>(path: string, schema: Schema, sent: Sent = {}): Promise<z.output<Schema>> {
    return this.#parsed(path, schema, await this.#ask("GET", path, sent));
  }

  /** All pages of a list. */
  async getPages<Page extends { readonly next?: string | undefined }>(
    path: string,
    schema: z.ZodType<Page>,
    sent: Sent = {},
  ): Promise<Page[]> {
    const pages: Page[] = [];
    let characters = 0;
    for (let after: string | undefined; pages.length < MAX_PAGES; ) {
      const text = await this.#ask("GET", path, { ...sent, query: { ...sent.query, after } });
      characters += text.length;
      if (characters > MAX_LIST) throw notGpuServer(this.base, `${path} is larger than ${MAX_LIST} characters`);
      const page: Page = this.#parsed(path, schema, text);
      pages.push(page);
      if (page.next === undefined) return pages;
      after = page.next;
    }
    throw notGpuServer(this.base, `${path} never ends`);
  }

  async send<Schema extends z.ZodType>(
    method: "POST" | "DELETE",
    path: string,
    schema: Schema,
    sent: Sent = {},
  ): Promise<z.output<Schema>> {
    return this.#parsed(path, schema, await this.#ask(method, path, sent));
  }

  async #ask(method: string, path: string, sent: Sent): Promise<string> {
    const { clock, signal, waits } = this.#options;
    const timeoutMs = Math.max(this.#options.timeoutMs, sent.minimumMs ?? 0);
    const late = new AbortController();
    const done = new AbortController();
    void clock.sleep(timeoutMs + GRACE_MS, done.signal).then(() => late.abort());
    const stop = AbortSignal.any([signal, late.signal, ...(sent.signal === undefined ? [] : [sent.signal])]);
    const { awaited = awaitedBy(path) } = sent;
    const isOver = awaited === null ? undefined : waits?.begin(awaited);
    const attempt: Attempt = { isChange: method !== "GET" && !path.endsWith("/ping"), isRefused: false };
    try {
      return await this.#untilServed(method, path, sent, stop, attempt);
    } catch (error) {
      if (error instanceof CourierError) throw error;
      if (late.signal.aborted && !done.signal.aborted) throw this.#tooLate(attempt, timeoutMs);
      if (stop.aborted) throw interrupted(attempt);
      throw notReached(this.base, error);
    } finally {
      done.abort();
      isOver?.();
    }
  }

  /** A request that came too fast was not served: it is sent again after the time that the server names. */
  async #untilServed(method: string, path: string, sent: Sent, signal: AbortSignal, attempt: Attempt): Promise<string> {
    for (;;) {
      attempt.isRefused = false;
      const answer = await this.#fetch(method, path, sent, signal);
      const { status, type, text, headers } = answer;
      if (status === 429) {
        attempt.isRefused = true;
        const waitMs = Number(headers.get("retry-after") ?? 1) * 1000;
        await this.#options.clock.sleep(Math.min(Math.max(waitMs, 0) || 1000, MAX_RETRY_MS), signal);
        signal.throwIfAborted();
        continue;
      }
      if (status < 200 || status > 299)
        throw refusalError(this.base, { status, type, text, location: headers.get("location") });
      if (!/^application\/json\b/.test(type)) throw notGpuServer(this.base, `${path} is ${type || "of no type"}`);
      return text;
    }
  }

  async #fetch(method: string, path: string, { query = {}, body }: Sent, signal: AbortSignal): Promise<Answer> {
    const { token, userAgent, ca, address } = this.#options;
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
    const target = `${path}${parameters.size === 0 ? "" : `?${parameters.toString()}`}`;
    const kept = method === "GET" ? this.#kept.get(target) : undefined;
    const headers = new Headers({
      authorization: `Bearer ${token}`,
      accept: "application/json",
      "user-agent": userAgent,
    });
    if (body !== undefined) headers.set("content-type", "application/json");
    if (kept !== undefined) headers.set("if-none-match", kept.etag);
    const response = await fetch(`${this.base}${target}`, {
      method,
      headers,
      redirect: "manual",
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...connectionOptions(address, ca),
    });
    this.#learnTime(response.headers.get("date"));
    if (response.status === 304 && kept !== undefined)
      return { status: 200, type: "application/json", text: kept.text, headers: response.headers };
    const text = await this.#read(response);
    const etag = response.headers.get("etag");
    if (method === "GET" && response.status === 200 && etag !== null) this.#keep(target, { etag, text });
    return {
      status: response.status,
      type: response.headers.get("content-type") ?? "",
      text,
      headers: response.headers,
    };
  }

  async #read(response: Response): Promise<string> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > MAX_BYTES) throw notGpuServer(this.base, `a response is larger than ${MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString("utf8");
  }

  #parsed<Schema extends z.ZodType>(path: string, schema: Schema, text: string): z.output<Schema> {
    let document: unknown;
    try {
      document = JSON.parse(text);
    } catch {
      throw notGpuServer(this.base, `${path} is not valid JSON`);
    }
    const { data, error } = schema.safeParse(document);
    if (error === undefined) return data;
    const [issue] = error.issues;
    const where = issue?.path.slice(0, 5).join(".") ?? "";
    throw notGpuServer(this.base, `${path} is not the document it should be (${where}: ${issue?.message ?? ""})`);
  }

  #keep(target: string, kept: Kept): void {
    this.#kept.delete(target);
    let characters = [...this.#kept.values()].reduce((sum, { text }) => sum + text.length, kept.text.length);
    for (const [oldest, { text }] of this.#kept) {
      if (this.#kept.size < MAX_KEPT && characters <= MAX_LIST) break;
      this.#kept.delete(oldest);
      characters -= text.length;
    }
    this.#kept.set(target, kept);
  }

  #learnTime(date: string | null): void {
    const serverMs = Date.parse(date ?? "") + 500;
    if (Number.isNaN(serverMs)) return;
    const offsetMs = serverMs - this.#options.clock.now();
    this.#clockOffsetMs = Math.abs(offsetMs) < CLOCK_DIFFERENCE_MS ? 0 : offsetMs;
  }

  #tooLate({ isChange, isRefused }: Attempt, timeoutMs: number): CourierError {
    const seconds = timeoutMs / 1000;
    if (isRefused)
      return new CourierError(
        "exhausted",
        `gpu-server at ${this.base} refused each request for ${seconds} s: too many`,
        {
          hint: "It was not served. Send fewer requests at the same time, or use a larger --timeout",
        },
      );
    const hint = isChange ? MAY_RUN : "Safe to retry";
    return new CourierError("deadline_exceeded", `gpu-server at ${this.base} did not answer within ${seconds} s`, {
      hint,
    });
  }
}

/** How fetch connects to gpu-server. @param ca the certificates of authorities; undefined: those of Bun */
export function connectionOptions({ isEncrypted }: ServerAddress, ca: readonly string[] | undefined) {
  // Bun asks a proxy of the environment even for 127.0.0.1, and would show it the token.
  if (!isEncrypted) return { proxy: false } as const;
  return ca === undefined ? {} : { tls: { ca: [...ca] } };
}

function interrupted({ isChange, isRefused }: Attempt): CourierError {
  return new CourierError("cancelled", "Interrupted before gpu-server answered", {
    hint: isChange && !isRefused ? MAY_RUN : undefined,
  });
}

/** An agent, if the server sends it a command. The agents themselves are read beside everything else. */
function awaitedBy(path: string): string | null {
  const [, agents, name, command] = /^\/v1\/(agents)(?:\/([^/]+)(\/.)?)?/.exec(path) ?? [];
  if (agents === undefined) return "gpu-server";
  return command === undefined ? null : (name ?? null);
}
