// ollama-python and OpenAI's SDKs on a box behind the server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AWAY_BOX, BOX, ClientSite, UNKNOWN_BOX } from "./site/client_site.ts";
import { Forwarder } from "./site/forwarder.ts";
import { runJavaScript, runPython } from "./site/script.ts";

let site: ClientSite;
beforeAll(async () => {
  site = await ClientSite.open();
});
afterAll(async () => await site.close());

describe("ollama-python", () => {
  test("gets from a box what it gets from the box's Ollama", async () => {
    const direct = await runPython("ollama_client.py", site.ollama.url, "");
    const facade = await runPython("ollama_client.py", site.address(), site.bearer().authorization);
    expect(facade).toEqual(direct);
  }, 60_000);

  test("raises the reason when the token is wrong, or the box unknown or away", async () => {
    const { authorization } = site.bearer();
    const at = async (agent: string, header = authorization) =>
      await runPython("ollama_client.py", site.address(agent), header, "list");
    const [wrong, unknown, away] = await Promise.all([at(BOX, "Bearer wrong"), at(UNKNOWN_BOX), at(AWAY_BOX)]);
    expect({ wrong, unknown, away }).toMatchObject({
      wrong: { list: { status: 401, error: expect.stringContaining("token") } },
      unknown: { list: { status: 404, error: expect.stringContaining(UNKNOWN_BOX) } },
      away: { list: { status: 503, error: expect.stringContaining(AWAY_BOX) } },
    });
  });
});

const SDKS = [
  ["Python", async (url: string, key: string) => await runPython("openai_client.py", url, key)],
  ["JavaScript", async (url: string, key: string) => await runJavaScript("openai_client.mjs", url, key)],
] as const;

describe.each(SDKS)("OpenAI's SDK for %s", (_, run) => {
  test("lists models, and does not repeat a chat that is refused", async () => {
    const forwarder = new Forwarder(site.server.url);
    try {
      const key = site.server.tokens.gp;
      const outcomes = await run(`${forwarder.url}/agents/${BOX}/v1`, key);
      const model = ["sample:latest", "model", "library", "int"];
      expect(outcomes).toEqual({
        list: [model],
        retrieve: model,
        "retrieve unknown": {
          error: "model 'none:latest' not found",
          type: "not_found_error",
          status: 404,
          class: "NotFoundError",
        },
        chat: {
          error: expect.stringContaining("prompts"),
          type: "api_error",
          status: 501,
          class: "InternalServerError",
        },
      });
      const prefix = `/agents/${BOX}/v1`;
      expect(forwarder.takeRequests()).toEqual([
        `GET ${prefix}/models`,
        `GET ${prefix}/models/sample:latest`,
        `GET ${prefix}/models/none`,
        `POST ${prefix}/chat/completions`,
      ]);
    } finally {
      await forwarder.close();
    }
  });
});
