// The routes of a simulated Ollama. Every text is that of the real one, v0.32.15.
import { brokenAnswer, failure, json, lastLine, lineStream, text } from "./answers.ts";
import { keepAliveMs, readBody } from "./body.ts";
import { parseName, showName } from "./name.ts";
import { type PullParts, pull } from "./pull.ts";
import type { Store } from "./store.ts";
import { modelEntry, openAiEntry, runningEntry, showEntry } from "./views.ts";

export interface RouteParts extends PullParts {
  readonly version: string;
  readonly counters: Counters;
}

/** What happened so far; `requests` by method and path. */
export interface Counters {
  openPulls: number;
  readonly requests: Record<string, number>;
}

type Route = (request: Request, parts: RouteParts, signal: AbortSignal) => Promise<Response> | Response;

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  "/": { HEAD: root, GET: root },
  "/api/version": { HEAD: version, GET: version },
  "/api/tags": { HEAD: tags, GET: tags },
  "/api/ps": { GET: ps },
  "/api/status": { GET: cloudStatus },
  "/v1/models": { GET: openAiModels },
  "/api/show": { POST: show },
  "/api/pull": { POST: pullRoute },
  "/api/delete": { DELETE: remove },
  "/api/copy": { POST: copy },
  "/api/generate": { POST: generate },
  "/api/chat": { POST: chat },
  "/api/embed": { POST: embed },
};

/** The name of a model follows. */
const OPENAI_MODEL = "/v1/models/";

/** @param stopped aborts when the server stops */
export async function answer(request: Request, parts: RouteParts, stopped: AbortSignal): Promise<Response> {
  const { pathname } = new URL(request.url);
  const key = `${request.method} ${pathname}`;
  parts.counters.requests[key] = (parts.counters.requests[key] ?? 0) + 1;
  const signal = AbortSignal.any([request.signal, stopped]);
  const { answer: broken, answerTo } = parts.faults;
  if (broken !== null && (answerTo === null || answerTo === key)) return await brokenAnswer(broken, signal);
  const methods =
    pathname.length > OPENAI_MODEL.length && pathname.startsWith(OPENAI_MODEL)
      ? { GET: openAiModel }
      : ROUTES[pathname];
  if (methods === undefined) return moved(request, pathname) ?? text("404 page not found", 404);
  const route = methods[request.method];
  if (route !== undefined) return await route(request, parts, signal);
  const wrong = text("405 method not allowed", 405);
  wrong.headers.set("allow", Object.keys(methods).join(", "));
  return wrong;
}

/** Where a path that ends with a slash leads; undefined when there is no such route. */
function moved(request: Request, pathname: string): Response | undefined {
  const path = pathname.replace(/\/$/, "");
  if (path === pathname || ROUTES[path] === undefined) return undefined;
  if (request.method !== "GET") return new Response(null, { status: 307, headers: { location: path } });
  const page = text(`<a href="${path}">Moved Permanently</a>.\n\n`, 301, "text/html; charset=utf-8");
  page.headers.set("location", path);
  return page;
}

function root(): Response {
  return text("Ollama is running", 200, "text/plain; charset=utf-8");
}

function version(_request: Request, parts: RouteParts): Response {
  return json({ version: parts.version });
}

async function tags(_request: Request, { store, faults }: RouteParts): Promise<Response> {
  if (faults.tagsDelayMs > 0) await Bun.sleep(faults.tagsDelayMs);
  return json({ models: store.list().map(modelEntry) });
}

function ps(_request: Request, { store }: RouteParts): Response {
  return json({ models: store.running().map(runningEntry) });
}

/** As with OLLAMA_NO_CLOUD. */
function cloudStatus(): Response {
  return json({ cloud: { disabled: true, source: "env" } });
}

/** Without models it is null, as Go writes an empty list that nobody made. */
function openAiModels(_request: Request, { store }: RouteParts): Response {
  const models = store.list();
  return plainJson({ object: "list", data: models.length === 0 ? null : models.map((model) => openAiEntry(model)) });
}

function openAiModel(request: Request, parts: RouteParts): Response {
  const asked = decodeURIComponent(new URL(request.url).pathname.slice(OPENAI_MODEL.length));
  // Its router takes one part of a path here, also where the slash is encoded.
  if (asked.includes("/")) return text("404 page not found", 404);
  const name = parseName(asked);
  if (name === null) return openAiFailure(400, "invalid_request_error", "invalid model name");
  const model = parts.store.find(name);
  if (model !== undefined) return plainJson(openAiEntry(model, asked));
  return openAiFailure(404, "not_found_error", `model '${showName(name)}' not found`);
}

/** As Ollama's layer for OpenAI's clients writes it. */
function plainJson(body: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(body)}\n`, { status, headers: { "content-type": "application/json" } });
}

function openAiFailure(status: number, type: string, message: string): Response {
  return plainJson({ error: { message, type, param: null, code: null } }, status);
}

async function show(request: Request, { store }: RouteParts): Promise<Response> {
  const body = await readBody(request, "ShowRequest");
  if (body instanceof Response) return body;
  if (body.model === "") return failure(400, "model is required");
  const name = parseName(body.model.trim());
  if (name === null) return failure(400, "invalid model name");
  const model = store.find(name);
  if (model === undefined && /:cloud$/i.test(body.model.trim()))
    return failure(403, "ollama cloud is disabled: remote model details are unavailable");
  if (model === undefined) return failure(404, `model '${showName(name)}' not found`);
  const damage = store.damage(name);
  if (damage !== null) return failure(500, damage);
  return model.manifest.spec.gguf === false ? failure(500, "invalid file magic") : json(showEntry(model));
}

async function pullRoute(request: Request, parts: RouteParts, signal: AbortSignal): Promise<Response> {
  const body = await readBody(request, "PullRequest");
  if (body instanceof Response) return body;
  const name = parseName(body.model.trim());
  if (name === null) return failure(400, "invalid model name");
  const spelled = parts.store.find(name)?.name ?? name;
  const lines = pull(spelled, body.insecure === true, signal, parts);
  parts.counters.openPulls += 1;
  const closed = (): void => {
    parts.counters.openPulls -= 1;
  };
  return body.stream === false ? await lastLine(lines, closed) : lineStream(lines, closed);
}

async function remove(request: Request, { store }: RouteParts): Promise<Response> {
  const body = await readBody(request, "DeleteRequest");
  if (body instanceof Response) return body;
  if (body.model === "") return failure(400, "model is required");
  const name = parseName(body.model.trim());
  if (name === null) return failure(400, `name ${JSON.stringify(body.model)} is invalid`);
  const damage = store.damage(name);
  if (damage !== null) return failure(500, damage);
  return store.remove(name) ? new Response(null) : failure(404, `model '${body.model}' not found`);
}

async function copy(request: Request, { store }: RouteParts): Promise<Response> {
  const body = await readBody(request, "CopyRequest");
  if (body instanceof Response) return body;
  const source = parseName(body.source ?? "");
  if (source === null) return failure(400, `source ${JSON.stringify(body.source ?? "")} is invalid`);
  const destination = parseName(body.destination ?? "");
  if (destination === null) return failure(400, `destination ${JSON.stringify(body.destination ?? "")} is invalid`);
  const model = store.find(source);
  if (model === undefined) return failure(404, `model ${JSON.stringify(body.source)} not found`);
  store.install(destination, model.manifest);
  return new Response(null);
}

/** Loads and unloads. It holds no weights, so a prompt is refused. */
async function generate(request: Request, parts: RouteParts): Promise<Response> {
  return await loadOrUnload(request, parts, "generate", { response: "" });
}

async function chat(request: Request, parts: RouteParts): Promise<Response> {
  return await loadOrUnload(request, parts, "chat", { message: { role: "assistant", content: "" } });
}

async function loadOrUnload(
  request: Request,
  { store, faults }: RouteParts,
  verb: string,
  answered: object,
): Promise<Response> {
  const found = await toLoad(request, store, (model) => `model '${model}' not found`);
  if (found instanceof Response) return found;
  const { body, model, keptMs } = found;
  const done_reason = keptMs === 0 ? "unload" : "load";
  if (keptMs !== 0 && model.manifest.spec.capabilities?.includes("completion") === false)
    return failure(400, `${JSON.stringify(body.model)} does not support ${verb}`);
  if ((body.prompt ?? "") !== "" || (body.messages ?? []).length > 0)
    return failure(500, "the simulation generates no text");
  if (keptMs !== 0) await Bun.sleep(faults.loadDelayMs);
  store.load(model, keptMs);
  return json({ model: body.model, created_at: new Date().toISOString(), ...answered, done: true, done_reason });
}

/** Loads every kind of model. */
async function embed(request: Request, { store, faults }: RouteParts): Promise<Response> {
  const missing = (model: string): string => `model ${JSON.stringify(model)} not found, try pulling it first`;
  const found = await toLoad(request, store, missing);
  if (found instanceof Response) return found;
  const { body, model, keptMs } = found;
  if (body.input !== undefined && body.input.length > 0) return failure(500, "the simulation makes no embeddings");
  if (keptMs !== 0) await Bun.sleep(faults.loadDelayMs);
  store.load(model, keptMs);
  return json({ model: body.model, embeddings: [] });
}

async function toLoad(request: Request, store: Store, missing: (model: string) => string) {
  const body = await readBody(request);
  if (body instanceof Response) return body;
  const keptMs = keepAliveMs(body.keep_alive);
  if (keptMs instanceof Response) return keptMs;
  const name = parseName(body.model.trim());
  if (name === null && body.model !== "") return failure(400, "invalid model name");
  const model = name === null ? undefined : store.find(name);
  if (name === null || model === undefined) return failure(404, missing(body.model));
  const damage = store.damage(name);
  return damage === null ? { body, model, keptMs } : failure(500, damage);
}
