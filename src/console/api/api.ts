// Requests to gpu-server from the page. Failures are `CourierError`s with the words of the server's problem documents.
import { CourierError, isErrorCode } from "../../base/errors.ts";
import { fieldOf, parseJson } from "../../base/foreign_text.ts";

type Method = "GET" | "POST" | "PUT" | "DELETE";

export interface ApiDeps {
  readonly fetch: (path: string, init: RequestInit) => Promise<Response>;
  /** Called when the server no longer knows who asks. */
  readonly signedOut: () => void;
}

export class Api {
  readonly #deps: ApiDeps;
  #clockOffsetMs = 0;

  constructor(deps: ApiDeps) {
    this.#deps = deps;
  }

  /** The server's clock minus that of this machine, as far as it matters for ages in words. */
  get clockOffsetMs(): number {
    return this.#clockOffsetMs;
  }

  /** @param path relative, without a slash in front: the page may be below a path of a proxy */
  async get<Document>(path: string, signal?: AbortSignal): Promise<Document> {
    return await this.#ask("GET", path, { signal });
  }

  async post<Document>(path: string, body?: object): Promise<Document> {
    return await this.#ask("POST", path, { body });
  }

  async put<Document>(path: string, body: object): Promise<Document> {
    return await this.#ask("PUT", path, { body });
  }

  async delete<Document>(path: string): Promise<Document> {
    return await this.#ask("DELETE", path, {});
  }

  /** All pages of a list. @param path with a query */
  async getAll<Item>(path: string, name: string, signal?: AbortSignal): Promise<readonly Item[]> {
    const items: Item[] = [];
    for (let after: string | undefined = ""; after !== undefined; ) {
      const more: string = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
      const page: Record<string, unknown> = await this.get(`${path}${more}`, signal);
      const found: unknown = page[name];
      if (Array.isArray(found)) items.push(...found);
      after = typeof page["next"] === "string" ? page["next"] : undefined;
    }
    return items;
  }

  /** The body of a response that does not end by itself. */
  async open(path: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const { body } = await this.#send("GET", path, { signal });
    if (body === null) throw new CourierError("unavailable", "The server sent no events");
    return body;
  }

  async #ask<Document>(method: Method, path: string, options: Options): Promise<Document> {
    const text = await (await this.#send(method, path, options)).text();
    const document: Document = text === "" ? undefined : JSON.parse(text);
    return document;
  }

  async #send(method: Method, path: string, { body, signal }: Options): Promise<Response> {
    const response = await this.#deps
      .fetch(path, {
        method,
        cache: "no-cache",
        credentials: "same-origin",
        ...(signal === undefined ? {} : { signal }),
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      })
      .catch((error: unknown) => {
        throw unreachable(error);
      });
    this.#readClock(response.headers.get("date"));
    if (response.ok) return response;
    const failure = failureOf(response.status, await response.text());
    if (failure.code === "unauthenticated") this.#deps.signedOut();
    throw failure;
  }

  /** The header has whole seconds: less than that is no difference. */
  #readClock(date: string | null): void {
    const offsetMs = Date.parse(date ?? "") - Date.now();
    if (!Number.isNaN(offsetMs)) this.#clockOffsetMs = Math.abs(offsetMs) < CLOCK_LEEWAY_MS ? 0 : offsetMs;
  }
}

const CLOCK_LEEWAY_MS = 2_000;

interface Options {
  readonly body?: object | undefined;
  readonly signal?: AbortSignal | undefined;
}

function unreachable(cause: unknown): CourierError {
  if (cause instanceof Error && cause.name === "AbortError") return new CourierError("cancelled", "Stopped", { cause });
  return new CourierError("unavailable", "The server cannot be reached", {
    hint: "Check the network. The page reconnects by itself",
    cause,
  });
}

/** From a problem document; a proxy in between may answer with anything else. */
function failureOf(status: number, text: string): CourierError {
  const problem = parseJson(text);
  const word = (name: string): string | undefined => {
    const value = fieldOf(problem, name);
    return typeof value === "string" ? value : undefined;
  };
  const code = word("code") ?? "";
  return new CourierError(
    isErrorCode(code) ? code : codeOf(status),
    word("detail") ?? `The server answered ${status}`,
    {
      hint: word("hint"),
      saidBy: word("said_by"),
    },
  );
}

function codeOf(status: number): CourierError["code"] {
  if (status === 401) return "unauthenticated";
  if (status === 403) return "forbidden";
  if (status === 404) return "not_found";
  return status === 429 || status >= 500 ? "unavailable" : "invalid";
}
