// The body of a response as it is passed on.
import type { CourierError } from "../../../base/errors.ts";
import { failureText } from "./failures.ts";

const LINE_END = 10;

/**
 * The same stream, read no further than its reader reads. Bun 1.4.5 prints an error on stderr when the body of `fetch`
 * is passed on as it is and breaks off; one that is read here only ends the client's connection.
 * @param lastLine of a stream of lines of JSON: why it broke off. Ollama's clients expect a failure as the last line, with
 *   `error`; it follows only after a whole line. Undefined: it is no such stream.
 */
export function passedOn(
  stream: ReadableStream<Uint8Array>,
  lastLine: (() => CourierError) | undefined,
): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let isLineWhole = true;
  return new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          isLineWhole = value.at(-1) === LINE_END;
          controller.enqueue(value);
        } catch (error) {
          if (lastLine === undefined || !isLineWhole) throw error;
          controller.enqueue(Buffer.from(`${JSON.stringify({ error: failureText(lastLine()) })}\n`));
          controller.close();
        }
      },
      cancel: async (reason) => await reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
