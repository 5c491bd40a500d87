// How a simulated Ollama words its responses: JSON, plain text, streams of lines.
import type { AnswerFault } from "./faults.ts";
import { PullCut, PullError } from "./pull_error.ts";

export function json(body: unknown, status = 200): Response {
  // Go writes `application/json; charset=utf-8` here, and plain `application/json` where it streams.
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json; charset=utf-8" } });
}

export function failure(status: number, error: string): Response {
  return json({ error }, status);
}

export function text(body: string, status: number, contentType = "text/plain"): Response {
  return new Response(body, { status, headers: { "content-type": contentType } });
}

/** The answer of a broken server, whatever was asked. */
export async function brokenAnswer(fault: AnswerFault, signal: AbortSignal): Promise<Response> {
  if (typeof fault === "object") return failure(fault.status, fault.error);
  if (fault === "html") return text("<!DOCTYPE html><title>Welcome</title>", 200, "text/html");
  if (fault === "garbled") return text('{"version":"0.32', 200, "application/json; charset=utf-8");
  // Never: only the client's giving up, or the server's stop, ends it.
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  return new Response(null);
}

/** A pull's lines as a stream; what fails after the first line is its last one, under a status that was sent before. */
export function lineStream(lines: AsyncGenerator<Record<string, unknown>>, closed: () => void): Response {
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      const write = (line: string): void => controller.enqueue(encoder.encode(line));
      try {
        for await (const line of lines) write(`${JSON.stringify(line)}\n`);
        controller.close();
      } catch (error) {
        if (error instanceof PullError) {
          write(`${JSON.stringify({ error: error.message })}\n`);
          controller.close();
        } else {
          if (error instanceof PullCut && error.half !== "") write(error.half);
          // With an Error as its reason Bun prints it; without one it just ends the connection.
          controller.error(undefined);
        }
      } finally {
        closed();
      }
    },
  });
  return new Response(stream, { headers: { "content-type": "application/x-ndjson" } });
}

/** The same without a stream: the last line alone, or a 500. */
export async function lastLine(lines: AsyncGenerator<Record<string, unknown>>, closed: () => void): Promise<Response> {
  const headers = { "content-type": "application/json" };
  let latest: Record<string, unknown> = {};
  try {
    for await (const line of lines) latest = line;
    return new Response(JSON.stringify(latest), { headers });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return new Response(JSON.stringify({ error: message }), { status: 500, headers });
  } finally {
    closed();
  }
}
