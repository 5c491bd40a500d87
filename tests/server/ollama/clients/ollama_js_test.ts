// ollama-js on a box behind the server: what it returns and throws is what it returns and throws at the box's own Ollama.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Ollama } from "ollama";
import { AWAY_BOX, BOX, ClientSite, UNKNOWN_BOX } from "./site/client_site.ts";

type Call = (client: Ollama) => Promise<unknown>;

const CALLS: Readonly<Record<string, Call>> = {
  version: async (client) => await client.version(),
  list: async (client) => await client.list(),
  show: async (client) => ({ ...(await client.show({ model: "sample" })), tensors: [] }),
  "show unknown": async (client) => await client.show({ model: "none" }),
  "show bad name": async (client) => await client.show({ model: "a b" }),
  ps: async (client) => await client.ps(),
  load: async (client) => ({ ...(await client.generate({ model: "sample", prompt: "" })), created_at: "" }),
  "ps loaded": async (client) => await running(client),
  unload: async (client) => ({
    ...(await client.generate({ model: "sample", prompt: "", keep_alive: 0 })),
    created_at: "",
  }),
  "ps unloaded": async (client) => await running(client),
  "pull streamed": async (client) => await statuses(client, "small"),
  pull: async (client) => await client.pull({ model: "small" }),
  "pull unknown": async (client) => await client.pull({ model: "nonesuch" }),
  "pull unknown streamed": async (client) => await statuses(client, "nonesuch"),
  copy: async (client) => await client.copy({ source: "small", destination: "copied" }),
  "copy unknown": async (client) => await client.copy({ source: "none", destination: "copied" }),
  delete: async (client) => await client.delete({ model: "copied" }),
  "delete again": async (client) => await client.delete({ model: "copied" }),
  "delete pulled": async (client) => await client.delete({ model: "small" }),
  "list at last": async (client) => (await client.list()).models.map(({ name }) => name),
};

let site: ClientSite;
beforeAll(async () => {
  site = await ClientSite.open();
});
afterAll(async () => await site.close());

function clientOf(agent: string, headers: Record<string, string> = { ...site.bearer() }): Ollama {
  return new Ollama({ host: site.address(agent), headers });
}

/** The status words of a pull, each kind once. */
async function statuses(client: Ollama, model: string): Promise<string[]> {
  const words: string[] = [];
  for await (const { status, digest } of await client.pull({ model, stream: true })) {
    const word = digest === undefined ? status : "pulling DIGEST";
    if (words.at(-1) !== word) words.push(word);
  }
  return words;
}

/** Without the instant at which Ollama unloads it, which differs by the time between two calls. */
async function running(client: Ollama): Promise<unknown> {
  return (await client.ps()).models.map((model) => ({ ...model, expires_at: typeof model.expires_at }));
}

async function outcome(call: Call, client: Ollama): Promise<unknown> {
  try {
    return await call(client);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { error: error.message, status: "status_code" in error ? error.status_code : undefined };
  }
}

async function outcomes(client: Ollama): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const [name, call] of Object.entries(CALLS)) found[name] = await outcome(call, client);
  return found;
}

describe("ollama-js", () => {
  test("gets from a box what it gets from the box's Ollama", async () => {
    const direct = await outcomes(new Ollama({ host: site.ollama.url }));
    expect(await outcomes(clientOf(BOX))).toEqual(direct);
  });

  test("throws the reason when the token is wrong, the role too low, or the box unknown or away", async () => {
    const list: Call = async (client) => await client.list();
    const wrong = await outcome(list, clientOf(BOX, { authorization: "Bearer wrong" }));
    const viewer = clientOf(BOX, { ...site.bearer("viewer") });
    const refused = await outcome(async (client) => await client.delete({ model: "sample" }), viewer);
    const unknown = await outcome(list, clientOf(UNKNOWN_BOX));
    const away = await outcome(list, clientOf(AWAY_BOX));
    expect({ wrong, refused, unknown, away }).toMatchObject({
      wrong: { status: 401, error: expect.stringContaining("token") },
      refused: { status: 403, error: expect.stringContaining("viewer") },
      unknown: { status: 404, error: expect.stringContaining(UNKNOWN_BOX) },
      away: { status: 503, error: expect.stringContaining(AWAY_BOX) },
    });
  });

  test("reads with the role viewer, also with show, which is a POST", async () => {
    const viewer = clientOf(BOX, { ...site.bearer("viewer") });
    expect((await viewer.list()).models).toHaveLength(1);
    expect((await viewer.show({ model: "sample" })).details.format).toBe("gguf");
  });
});
