// What a box behind the server answers otherwise than its Ollama: the table of docs/clients.md, request by request.
import type { Answer } from "./answer.ts";

export interface Difference {
  /** The first cell of its row in docs/clients.md. */
  readonly here: string;
  /** By the names of the requests; of the box's answer the part that matters. */
  readonly answers: Readonly<Record<string, Partial<Answer>>>;
}

const JSON_TYPE = "application/json";
const NOT_ALLOWED = { status: 405, type: JSON_TYPE };
const OK = { status: 200, type: JSON_TYPE };
const NO_JSON = { status: 400, text: "invalid request: the body is not valid JSON" };
const NOT_SERVED = {
  status: 501,
  text:
    "gpu-courier manages models; it does not carry prompts. " +
    "Pull, delete and list models here, and send prompts to an Ollama that can be reached",
};

/** All of them with one answer. */
function each(answer: Partial<Answer>, ...names: readonly string[]): Difference["answers"] {
  return Object.fromEntries(names.map((name) => [name, answer]));
}

export const DIFFERENCES: readonly Difference[] = [
  {
    here: "An unknown path and a method that a path lacks get JSON with `error`, and `Allow` also has OPTIONS",
    answers: {
      ...each(NOT_ALLOWED, "root delete", "version post", "tags post", "show get"),
      ...each(NOT_ALLOWED, "pull get", "delete get", "delete post", "generate get"),
      ...each({ status: 404, type: JSON_TYPE }, "unknown path"),
    },
  },
  {
    here: "A path that ends with a slash is answered, not redirected. HEAD works wherever GET does",
    answers: each(
      OK,
      "version, trailing slash",
      "tags, trailing slash",
      "show, trailing slash",
      "openai models, trailing slash",
      "ps head",
    ),
  },
  {
    here: "`/api/show` has no `tensors`",
    answers: each(
      OK,
      "show",
      "show with tag",
      "show by the old field",
      "show, both fields",
      "show, empty model and a name",
      "show in capitals",
      "show with spaces around",
      "show, unknown field",
      "show as a form",
    ),
  },
  {
    here: "`data` of `/v1/models` is `[]` without models, not null",
    answers: { "openai models, no model": { status: 200, shape: { object: "string", data: [] } } },
  },
  {
    here: "A body that is not JSON, or has a field of a wrong type, gets 400 with other words",
    answers: {
      ...each(NO_JSON, "show, cut JSON", "show, no JSON", "generate, cut JSON", "copy, cut JSON", "delete, cut JSON"),
      ...each(NO_JSON, "pull, cut JSON"),
      ...each({ status: 400 }, "show, a list", "show, a number for a name", "pull, text for stream"),
      ...each({ status: 400 }, "unload, no duration"),
    },
  },
  {
    here: "An unknown model that ends with `:cloud` gets 404",
    answers: { "show of the cloud": { status: 404, text: "model 'none:cloud' not found" } },
  },
  {
    here: "A pull of a model that its registry does not have gets 404, not 200 and a stream with the error",
    answers: each({ status: 404, type: JSON_TYPE }, "pull unknown", "pull unknown, not streamed"),
  },
  {
    here: "Prompts, embeddings, `push`, `create`, blobs, accounts, and all of `/v1` but the models get 501",
    answers: {
      ...each(NOT_SERVED, "generate with a prompt", "chat with messages", "embed", "embeddings", "push", "create"),
      ...each(NOT_SERVED, "openai chat", "openai completion", "openai embeddings"),
      ...each(NOT_SERVED, "unknown path of openai", "whoami", "sign out"),
      ...each({ status: 501 }, "blob"),
    },
  },
  { here: "There is no `/api/status`", answers: { "status of the cloud": { status: 404 } } },
];
