// Passes requests for one box on to gpu-server, with gpuctl's token, and what comes back: as it comes, in both directions.
import { notReached } from "../failures.ts";
import { connectionOptions } from "../http.ts";
import type { ServerWay } from "../open.ts";
import { refusalOf } from "./admission.ts";
import { passedOn } from "./body.ts";
import { brokenOff, errorOfRefused, errorResponse, failureResponse, isOfOllama } from "./failures.ts";
import { requestHeaders, responseHeaders } from "./headers.ts";
import { targetOf } from "./target.ts";

/** The errors of the box have a few hundred bytes; a proxy's page may have any size. */
const MAX_ERROR_BYTES = 65_536;
/** Responses without a body, whatever they say. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

export interface ForwarderOptions {
  readonly way: ServerWay;
  readonly agent: string;
  /** The path that a client must know to be served; empty: none. */
  readonly prefix: string;
  /** Ends every request. */
  readonly signal: AbortSignal;
}

export class Forwarder {
  readonly #way: ServerWay;
  readonly #box: string;
  readonly #prefix: string;
  readonly #signal: AbortSignal;

  constructor({ way, agent, prefix, signal }: ForwarderOptions) {
    this.#way = way;
    this.#box = `${way.address.base}/agents/${agent}`;
    this.#prefix = prefix;
    this.#signal = signal;
  }

  /** Never rejects. @param port the one that the request came to */
  async answer(request: Request, port: number): Promise<Response> {
    const refusal = refusalOf(request, port);
    const target = refusal ?? targetOf(new URL(request.url), this.#prefix);
    if (typeof target !== "string") return errorResponse(target.status, target.reason);
    if (isGreeting(request, target)) return new Response();
    try {
      return await this.#forward(request, target);
    } catch (error) {
      return failureResponse(error);
    }
  }

  /** @throws CourierError */
  async #forward(request: Request, target: string): Promise<Response> {
    const { base } = this.#way.address;
    const response = await this.#fetch(request, target);
    const { status, headers } = response;
    const type = headers.get("content-type") ?? "";
    if (isServed(status, type)) return this.#passOn(request, response, type);
    const text = await beginningOf(response).catch((error: unknown) => {
      throw notReached(base, error);
    });
    const refused = { status, type, text, location: headers.get("location") };
    // A HEAD has no reason to show.
    const isBare = request.method === "HEAD" && status >= 400 && status !== 401;
    if (!isBare && !isOfOllama(refused)) throw errorOfRefused(base, refused);
    const passed = responseHeaders(headers);
    passed.delete("content-length");
    return new Response(isBare ? null : text, { status, headers: passed });
  }

  async #fetch(request: Request, target: string): Promise<Response> {
    const { address, token, ca } = this.#way;
    const headers = requestHeaders(request.headers, token());
    try {
      return await fetch(`${this.#box}${target}`, {
        method: request.method,
        headers,
        body: request.body,
        redirect: "manual",
        signal: AbortSignal.any([request.signal, this.#signal]),
        decompress: false,
        // A pull may take hours, and be silent until its end.
        timeout: false,
        ...connectionOptions(address, ca),
      });
    } catch (error) {
      throw notReached(address.base, error);
    }
  }

  #passOn(request: Request, response: Response, type: string): Response {
    const { status, body } = response;
    const headers = responseHeaders(response.headers);
    if (body === null || request.method === "HEAD" || BODILESS.has(status))
      return new Response(null, { status, headers });
    const isLines = /^application\/x-ndjson\b/.test(type) && !headers.has("content-encoding");
    const lastLine = isLines ? () => brokenOff(this.#way.address.base) : undefined;
    return new Response(passedOn(body, lastLine), { status, headers });
  }
}

/**
 * Ollama's command line asks this before everything else, and shows no reason when it fails: the request that follows
 * brings it to light.
 */
function isGreeting({ method, headers }: Request, target: string): boolean {
  return method === "HEAD" && target === "/" && headers.get("user-agent")?.startsWith("ollama/") === true;
}

function isServed(status: number, type: string): boolean {
  return (status < 300 && !/^text\/html\b/.test(type)) || status === 304;
}

async function beginningOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (bytes > MAX_ERROR_BYTES) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
