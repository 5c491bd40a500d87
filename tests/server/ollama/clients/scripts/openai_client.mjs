// What OpenAI's SDK for JavaScript gets from one box, as one JSON object: what each call returned or threw.
// argv: the folder it is installed in, the base URL, the API key.
import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, baseURL, apiKey] = process.argv.slice(2);
const { OpenAI, APIError } = createRequire(join(folder, "package.json"))("openai");
const client = new OpenAI({ baseURL, apiKey });

const modelOf = ({ id, object, owned_by, created }) => [
  id,
  object,
  owned_by,
  typeof created === "number" ? "int" : typeof created,
];

const CALLS = {
  list: async () => (await Array.fromAsync(client.models.list())).map(modelOf).toSorted(),
  retrieve: async () => modelOf(await client.models.retrieve("sample:latest")),
  "retrieve unknown": async () => modelOf(await client.models.retrieve("none")),
  chat: async () => {
    const messages = [{ role: "user", content: "Hi" }];
    return (await client.chat.completions.create({ model: "sample", messages })).id;
  },
};

async function outcome(call) {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const { message, type } = error.error ?? {};
    return { error: message, type, status: error.status, class: error.constructor.name };
  }
}

const outcomes = {};
for (const [name, call] of Object.entries(CALLS)) outcomes[name] = await outcome(call);
process.stdout.write(JSON.stringify(outcomes));
