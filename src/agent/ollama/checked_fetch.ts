// The `fetch` that the Ollama client is given: no answer reaches it that was not checked, bounded and classified before.
import { z } from "zod";
import { parseJson, readBounded } from "../../base/foreign_text.ts";
import { ErrorBody, notOllama, statusFailure } from "./errors.ts";
import { type Asked, ollamaFailure } from "./meanings.ts";
import { PullLine } from "./pull_tracker.ts";

export interface FetchOptions {
  readonly asked: Asked;
  /** Closes the connection. */
  readonly signal: AbortSignal;
  /** An answer with more is refused; in a stream, a line with more. */
  readonly maxBytes: number;
  readonly stream: boolean;
}

const Line = z.union([ErrorBody, PullLine]);

/**
 * A `fetch` for one request. Everything it throws is a `CourierError`, but for failures of the connection, which it throws
 * as they are. Left to itself the client would print what it cannot read, buffer without bound and wait forever.
 */
export function checkedFetch(options: FetchOptions): typeof fetch {
  const request = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(input, {
      ...init,
      signal: init.signal ? AbortSignal.any([init.signal, options.signal]) : options.signal,
      // HTTP_PROXY is meant for the internet: with it set, Bun would ask the proxy for 127.0.0.1.
      proxy: false,
      redirect: "manual",
      // A connection for each request: cheap on loopback, and none can be found dead after a restart of Ollama.
      keepalive: false,
      // Bun gives up connections that were silent for 5 min; verifying a large model takes longer.
      timeout: false,
    });
    return await check(response, options);
  };
  return Object.assign(request, { preconnect: fetch.preconnect });
}

async function check(response: Response, options: FetchOptions): Promise<Response> {
  const { asked, maxBytes, stream } = options;
  const type = response.headers.get("content-type") ?? "";
  if (response.ok && stream && response.body !== null && type.includes("json")) {
    return new Response(response.body.pipeThrough(checkedLines(options)), { headers: { "content-type": type } });
  }
  const text = await readText(response, asked, maxBytes);
  const body = parseJson(text);
  if (!response.ok) throw statusFailure(asked, response.status, body);
  if (text !== "" && !type.includes("json")) throw notOllama(asked, `it sends ${type === "" ? "no type" : type}`);
  if (text !== "" && body === undefined) throw notOllama(asked, "it sends JSON that cannot be read");
  const failed = ErrorBody.safeParse(body);
  if (failed.success) throw ollamaFailure(asked, failed.data.error);
  return new Response(text, { headers: { "content-type": type } });
}

async function readText(response: Response, asked: Asked, maxBytes: number): Promise<string> {
  const text = await readBounded(response.body, maxBytes);
  if (text === null) throw notOllama(asked, `it sends more than ${maxBytes} bytes`);
  return text;
}

/** Passes on whole lines that are a pull's; throws at the first that is not, and at an error line. */
function checkedLines({ asked, maxBytes }: FetchOptions): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > maxBytes) throw notOllama(asked, `it sends lines of more than ${maxBytes} bytes`);
      for (const line of lines) controller.enqueue(encoder.encode(`${checkedLine(line, asked)}\n`));
    },
    flush(controller) {
      if (rest.trim() !== "") controller.enqueue(encoder.encode(`${checkedLine(rest, asked)}\n`));
    },
  });
}

function checkedLine(line: string, asked: Asked): string {
  const read = Line.safeParse(parseJson(line));
  if (!read.success) throw notOllama(asked, "it sends a line that cannot be read", read.error);
  if ("error" in read.data) throw ollamaFailure(asked, read.data.error);
  return line;
}
