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

/** What differs by the table of docs/clients.md, and is no matter to the CLI. */
function expectAnswer(answer: Answer, recorded: Answer, path: string): void {
  if (path === "/api/show" && recorded.status === 200) {
    expect(answer).toMatchObject({ status: 200, shape: { details: expect.anything(), model_info: expect.anything() } });
  } else if (path === "/api/pull" || path === "/api/tags") {
    expect(partOf(answer)).toEqual(partOf(recorded));
  } else {
    expect(answer).toEqual(recorded);
  }
}

/** Without the bytes of a pull that had none to fetch, and without the fields that only the real list has. */
function partOf({ shape, ...answer }: Answer): object {
  const text = JSON.stringify(shape);
  const progress = /\["pulling DIGEST",\{[^}]*\}\],/;
  const details = /,"(?:context|embedding)_length":"number"/g;
  return { ...answer, shape: JSON.parse(text.replace(progress, "").replaceAll(details, "")) };
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
