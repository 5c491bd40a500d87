// A response that is silent for longer than Bun's own limit of 10 s, through the port of gpuctl proxy.
import { expect, test } from "bun:test";
import { Forwarded, linesResponse } from "#tests/client/over_http/proxy/forwarded.ts";

const SILENCE_MS = 13_000;

test("a silence before a response, and one in the middle of it, do not end it", async () => {
  await using forwarded = await Forwarded.open(async (_, path) => {
    if (path.endsWith("/tags")) {
      await Bun.sleep(SILENCE_MS);
      return Response.json({ models: [] });
    }
    return linesResponse(
      new ReadableStream({
        start: async (controller) => {
          controller.enqueue(Buffer.from('{"status":"pulling manifest"}\n'));
          await Bun.sleep(SILENCE_MS);
          controller.enqueue(Buffer.from('{"status":"success"}\n'));
          controller.close();
        },
      }),
    );
  });
  const ask = async (path: string): Promise<string> => await (await forwarded.ask(path)).text();
  expect(await Promise.all([ask("/api/tags"), ask("/api/pull")])).toEqual([
    '{"models":[]}',
    '{"status":"pulling manifest"}\n{"status":"success"}\n',
  ]);
});
