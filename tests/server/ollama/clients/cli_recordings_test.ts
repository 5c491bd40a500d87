// What the `ollama` CLI sends, replayed on a box behind the server: the answers are those that a real Ollama gave the CLI.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Answer, answerOf, ask } from "./site/answer.ts";
import { COMMANDS, Recording, recordingPath } from "./site/cli_commands.ts";
import { ClientSite } from "./site/client_site.ts";

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
