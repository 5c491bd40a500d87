// The verbs that a token may be limited to, and what each lets it do over HTTP.
import type { Verb } from "../../protocol.ts";

/** No route fetches on one agent: the mirror has its own. */
type TokenVerb = Exclude<Verb, "ping" | "fetch_model">;

/** Every token may ping the agents that it sees. */
const MEANINGS: Readonly<Record<TokenVerb, string>> = {
  list_models: "list models",
  show_model: "show one model in detail",
  list_running: "list the models in memory",
  list_jobs: "list, show and follow jobs",
  pull_model: "pull models",
  cancel_job: "cancel jobs",
  copy_model: "give models a second name",
  load_model: "load models into memory",
  unload_model: "unload models from memory",
  delete_model: "delete models",
  disk_usage: "show what is on the disk",
  prune: "remove what downloads and deletes left on the disk",
  published_model: "show what registries have, and which boxes it fits",
};

/** For `--help`. Every token may list and ping the agents that it sees. */
export const VERB_HELP: string = Object.entries(MEANINGS)
  .map(([verb, meaning]) => `  ${verb.padEnd(14)}${meaning}`)
  .join("\n");

/** Undefined: the text is no such verb. */
export function tokenVerb(text: string): TokenVerb | undefined {
  return isTokenVerb(text) ? text : undefined;
}

function isTokenVerb(text: string): text is TokenVerb {
  return Object.hasOwn(MEANINGS, text);
}
