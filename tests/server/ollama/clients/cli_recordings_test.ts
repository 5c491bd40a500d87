// What the `ollama` CLI sends, replayed on a box behind the server: the answers are those that a real Ollama gave the CLI.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, answerOf, ask } from "./site/answer.ts";
import { COMMANDS, Recording, recordingPath } from "./site/cli_commands.ts";
import { AWAY_BOX, ClientSite } from "./site/client_site.ts";

let site: ClientSite;
beforeAll(async () => {
  site = await ClientSite.open();
});
afterAll(async () => await site.close());

/** The CLI does not look at the tensors, nor at most of the metadata. */
function expectAnswer(answer: Answer, recorded: Answer, path: string): void {
  const isShown = path === "/api/show" && recorded.status === 200;
  const shape = { details: expect.anything(), model_info: expect.anything(), capabilities: ["string"] };
  if (isShown) expect(answer).toMatchObject({ status: 200, shape });
  else expect(answer).toEqual(recorded);
}

for (const [name, command] of Object.entries(COMMANDS)) {
  test(`"ollama ${command.join(" ")}" gets the answers that it got from Ollama (${name})`, async () => {
    const { exchanges } = Recording.parse(await Bun.file(recordingPath(name)).json());
    expect(exchanges.length).toBeGreaterThan(0);
    for (const { request, response } of exchanges) {
      const { method, path, headers, body } = request;
      const sent = { method, path, headers, ...(body === "" ? {} : { body }) };
      const answer = await ask(site.address(), sent, site.bearer());
      expectAnswer(answer, answerOf(response.status, response.type, response.body), path);
    }
  });
}

test("the CLI gets 403 when its token is wrong or missing: it shows no reason of a 401", async () => {
  const { exchanges } = Recording.parse(await Bun.file(recordingPath("list")).json());
  const [root, list] = exchanges.map(({ request: { method, path, headers } }) => ({ method, path, headers }));
  if (root === undefined || list === undefined) throw new Error("The recording has no requests");
  for (const headers of [{}, { authorization: "Bearer wrong" }]) {
    expect((await ask(site.address(), root, headers)).status).toBe(200);
    const { status, text } = await ask(site.address(), list, headers);
    expect([status, text]).toEqual([403, expect.stringContaining("token")]);
  }
});

test("nothing in the reason of a box that is away makes the CLI start a server of its own", async () => {
  const { status, text } = await ask(site.address(AWAY_BOX), { method: "GET", path: "/api/tags" }, site.bearer());
  expect([status, text]).toEqual([503, expect.not.stringMatching(/ refused|could not connect/)]);
});
