// The requests that a box behind the server and an Ollama are both sent, in this order. The first ones find one model, `sample`.
import type { Sent } from "./answer.ts";

export interface NamedRequest extends Sent {
  /** Its name in the table of differences. */
  readonly name: string;
}

const JSON_TYPE = { "content-type": "application/json" };
const FORM_TYPE = { "content-type": "application/x-www-form-urlencoded" };

function get(name: string, path: string): NamedRequest {
  return { name, method: "GET", path };
}

function head(name: string, path: string): NamedRequest {
  return { name, method: "HEAD", path };
}

function post(name: string, path: string, body?: unknown): NamedRequest {
  return { name, method: "POST", path, body, headers: JSON_TYPE };
}

function remove(name: string, body?: unknown): NamedRequest {
  return { name, method: "DELETE", path: "/api/delete", body, headers: JSON_TYPE };
}

/** Nothing is changed by them. */
const READS: readonly NamedRequest[] = [
  get("root", "/"),
  head("root head", "/"),
  { name: "root delete", method: "DELETE", path: "/" },
  get("version", "/api/version"),
  head("version head", "/api/version"),
  get("version, trailing slash", "/api/version/"),
  get("version, two slashes", "//api/version"),
  { name: "version post", method: "POST", path: "/api/version" },
  get("tags", "/api/tags"),
  head("tags head", "/api/tags"),
  get("tags, trailing slash", "/api/tags/"),
  get("tags, unknown parameter", "/api/tags?color=red"),
  { name: "tags post", method: "POST", path: "/api/tags" },
  get("ps, nothing loaded", "/api/ps"),
  head("ps head", "/api/ps"),
  post("show", "/api/show", { model: "sample" }),
  post("show with tag", "/api/show", { model: "sample:latest" }),
  post("show by the old field", "/api/show", { name: "sample" }),
  post("show, both fields", "/api/show", { model: "sample", name: "none" }),
  post("show, empty model and a name", "/api/show", { model: "", name: "sample" }),
  post("show in capitals", "/api/show", { model: "SAMPLE" }),
  post("show with spaces around", "/api/show", { model: " sample " }),
  post("show, unknown field", "/api/show", { model: "sample", color: "red" }),
  post("show, trailing slash", "/api/show/", { model: "sample" }),
  post("show unknown", "/api/show", { model: "none" }),
  post("show unknown, with namespace", "/api/show", { model: "me/none:1b" }),
  post("show bad name", "/api/show", { model: "a b" }),
  post("show without a name", "/api/show", {}),
  post("show without a body", "/api/show"),
  post("show, cut JSON", "/api/show", '{"model":'),
  post("show, no JSON", "/api/show", "model=sample"),
  post("show, a list", "/api/show", []),
  post("show, a number for a name", "/api/show", { model: 5 }),
  { ...post("show as a form", "/api/show", '{"model":"sample"}'), headers: FORM_TYPE },
  get("show get", "/api/show"),
  post("show of the cloud", "/api/show", { model: "none:cloud" }),
  get("openai models", "/v1/models"),
  get("openai models, trailing slash", "/v1/models/"),
  get("openai model", "/v1/models/sample:latest"),
  get("openai model without tag", "/v1/models/sample"),
  get("openai model unknown", "/v1/models/none"),
  get("openai model bad name", "/v1/models/a%20b"),
  get("unknown path", "/api/nonesuch"),
  get("unknown path of openai", "/v1/nonesuch"),
  get("pull get", "/api/pull"),
  get("delete get", "/api/delete"),
  get("status of the cloud", "/api/status"),
];

/** A body that is no request for prompts: nothing is loaded or unloaded that was not. */
const LOADS: readonly NamedRequest[] = [
  post("unload", "/api/generate", { model: "sample", keep_alive: 0 }),
  post("unload, 0s, empty prompt", "/api/generate", { model: "sample", prompt: "", keep_alive: "0s" }),
  post("unload, text 0", "/api/generate", { model: "sample", keep_alive: "0" }),
  post("unload, 0m, by chat", "/api/chat", { model: "sample", messages: [], keep_alive: "0m" }),
  post("unload, empty chat", "/api/chat", { model: "sample", keep_alive: 0 }),
  post("unload not streamed", "/api/generate", { model: "sample", keep_alive: 0, stream: false }),
  post("unload in capitals", "/api/generate", { model: "SAMPLE", keep_alive: 0 }),
  post("unload unknown", "/api/generate", { model: "none", keep_alive: 0 }),
  post("unload bad name", "/api/generate", { model: "a b", keep_alive: 0 }),
  post("unload without a name", "/api/generate", { keep_alive: 0 }),
  post("unload, no duration", "/api/generate", { model: "sample", keep_alive: "soon" }),
  post("generate without a body", "/api/generate"),
  post("generate, cut JSON", "/api/generate", "{"),
  post("load unknown", "/api/generate", { model: "none" }),
  post("chat unknown", "/api/chat", { model: "none" }),
  get("generate get", "/api/generate"),
];

/** Only a program that answers prompts can do these. */
const PROMPTS: readonly NamedRequest[] = [
  post("generate with a prompt", "/api/generate", { model: "none", prompt: "Hi" }),
  post("chat with messages", "/api/chat", { model: "none", messages: [{ role: "user", content: "Hi" }] }),
  post("embed", "/api/embed", { model: "none", input: "Hi" }),
  post("embeddings", "/api/embeddings", { model: "none", prompt: "Hi" }),
  post("push", "/api/push", { model: "none" }),
  post("create", "/api/create", { model: "made", from: "none" }),
  { name: "whoami", method: "POST", path: "/api/me" },
  { name: "sign out", method: "POST", path: "/api/signout" },
  head("blob", `/api/blobs/sha256:${"0".repeat(64)}`),
  post("openai chat", "/v1/chat/completions", { model: "none", messages: [{ role: "user", content: "Hi" }] }),
  post("openai completion", "/v1/completions", { model: "none", prompt: "Hi" }),
  post("openai embeddings", "/v1/embeddings", { model: "none", input: "Hi" }),
];

/** @param registry `host:port`, with a model `small` */
function changes(registry: string): readonly NamedRequest[] {
  const small = `${registry}/library/small:latest`;
  const none = `${registry}/library/none:latest`;
  return [
    post("copy", "/api/copy", { source: "sample", destination: "Copied" }),
    get("tags after copy", "/api/tags"),
    post("copy in capitals", "/api/copy", { source: "SAMPLE", destination: "copied:two" }),
    post("copy over itself", "/api/copy", { source: "sample", destination: "sample" }),
    post("copy unknown", "/api/copy", { source: "none", destination: "copied" }),
    post("copy from a bad name", "/api/copy", { source: "a b", destination: "copied" }),
    post("copy to a bad name", "/api/copy", { source: "sample", destination: "a b" }),
    post("copy without a destination", "/api/copy", { source: "sample" }),
    post("copy without a source", "/api/copy", { destination: "copied" }),
    post("copy without a body", "/api/copy"),
    post("copy, cut JSON", "/api/copy", "{"),
    remove("delete in another case", { model: "cOPIED" }),
    remove("delete by the old field", { name: "copied:two" }),
    remove("delete again", { model: "copied" }),
    remove("delete bad name", { model: "a b" }),
    remove("delete without a name", {}),
    remove("delete, empty name", { model: "" }),
    remove("delete without a body"),
    remove("delete, cut JSON", "{"),
    post("delete post", "/api/delete", { model: "none" }),
    post("pull", "/api/pull", { model: small, insecure: true }),
    post("pull again", "/api/pull", { model: small, insecure: true }),
    post("pull by the old field, not streamed", "/api/pull", { name: small, insecure: true, stream: false }),
    post("pull, empty model and a name", "/api/pull", { model: "", name: small, insecure: true }),
    post("pull, unknown field", "/api/pull", { model: small, insecure: true, color: "red" }),
    post("pull unknown", "/api/pull", { model: none, insecure: true }),
    post("pull unknown, not streamed", "/api/pull", { model: none, insecure: true, stream: false }),
    post("pull bad name", "/api/pull", { model: "../etc/passwd" }),
    post("pull, host without namespace", "/api/pull", { model: `${registry}/small` }),
    post("pull without a name", "/api/pull", {}),
    post("pull without a body", "/api/pull"),
    post("pull, cut JSON", "/api/pull", '{"model":'),
    post("pull, text for stream", "/api/pull", { model: small, stream: "no" }),
    get("tags after pull", "/api/tags"),
    get("openai models after pull", "/v1/models"),
    remove("delete pulled", { model: small }),
    remove("delete the last", { model: "sample" }),
    get("tags, no model", "/api/tags"),
    get("openai models, no model", "/v1/models"),
  ];
}

/** All of them. */
export function requestsTo(registry: string): readonly NamedRequest[] {
  return [...READS, ...LOADS, ...PROMPTS, ...changes(registry)];
}
