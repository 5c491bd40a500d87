// /mirror/v2/…: the models of the mirror, read-only and with a token, as a registry has them. For boxes that cannot mount it.
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { asCourierError, CourierError } from "../../../base/errors.ts";
import type { ModelName } from "../../../base/model_name.ts";
import type { Layer } from "../../../program/registry/manifest.ts";
import { nameAt } from "../../../transport/mirror/layout.ts";
import { type ByteRange, rangeOf } from "../../../transport/mirror/reading/byte_range.ts";
import { namedLayer } from "../../../transport/mirror/reading/named_layer.ts";
import { callerOf, type Env } from "../../http/env.ts";
import { stopWithCaller } from "../../http/guard/caller_watch.ts";
import { failWith } from "../../http/problem.ts";
import type { WholeServices } from "../../services.ts";
import { blobBody } from "./blob_body.ts";
import type { MirrorFiles } from "./mirror_files.ts";

type Parts = Pick<WholeServices, "mirrorFiles" | "authenticator" | "clock" | "log">;

const MODEL = "/v2/:host/:namespace/:model";
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** Nobody on the way keeps or changes anything. */
const KEPT = { "cache-control": "no-store, no-transform" };
const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

/** To be served under /mirror. */
export function mirrorFilesRoutes(parts: Parts): Hono<Env> {
  const routes = new Hono<Env>();
  routes.use(`${MODEL}/*`, markAsRegistry(parts));
  routes.get(`${MODEL}/manifests/:tag`, async (context) => {
    const { mirror } = filesOf(parts);
    const { shown } = nameIn(context, context.req.param("tag"));
    const found = await mirror.find(shown);
    if (found === null) throw missing(`model ${shown}`);
    const headers = {
      ...KEPT,
      "content-type": MANIFEST_TYPE,
      "docker-content-digest": `sha256:${found.manifest.digest}`,
    };
    return respond(context, Buffer.from(found.text), headers);
  });
  routes.get(`${MODEL}/signatures/:tag`, async (context) => {
    const { name, shown } = nameIn(context, context.req.param("tag"));
    const text = await filesOf(parts).mirror.readSignature(name);
    if (text === null) throw missing(`signature of ${shown}`);
    return respond(context, Buffer.from(text), { ...KEPT, "content-type": "application/json" });
  });
  routes.get(`${MODEL}/blobs/:digest`, async (context) => await blob(context, parts));
  return routes;
}

/** Shows clients that a 404 is about a model, and not about the address. */
function markAsRegistry({ mirrorFiles }: Parts): MiddlewareHandler<Env> {
  return async (context, next) => {
    await next();
    if (mirrorFiles !== null) context.res.headers.set("docker-distribution-api-version", "registry/2.0");
  };
}

async function blob(context: Context<Env>, parts: Parts): Promise<Response> {
  const files = filesOf(parts);
  const { name } = nameIn(context, "latest");
  const digest = context.req.param("digest") ?? "";
  const layer = DIGEST.test(digest) ? await namedLayer(files.mirror, name, digest) : null;
  if (layer === null) throw missing("such blob");
  const range = context.req.header("range");
  const part = rangeOf(range, layer.bytes);
  if (part === null) return new Response(null, { status: 416, headers: { "content-range": `bytes */${layer.bytes}` } });
  const headers = {
    ...KEPT,
    "content-type": "application/octet-stream",
    "accept-ranges": "bytes",
    "content-length": String(part.to - part.from),
    ...(range === undefined ? {} : { "content-range": `bytes ${part.from}-${part.to - 1}/${layer.bytes}` }),
  };
  const status = range === undefined ? 200 : 206;
  if (context.req.method !== "HEAD") return await send(context, files, layer, part, { status, headers }, parts);
  const absent = await files.mirror.missing([layer]);
  if (absent.length > 0) throw missing("such blob");
  return new Response(null, { status, headers });
}

async function send(
  context: Context<Env>,
  files: MirrorFiles,
  layer: Layer,
  part: ByteRange,
  init: ResponseInit,
  { authenticator, clock, log }: Parts,
): Promise<Response> {
  const caller = callerOf(context);
  const refusal = files.refusal(caller);
  if (refusal !== undefined) throw failWith(429, refusal, "Ask again later");
  const countOut = files.add(caller);
  const file = await files.mirror.openBlob(layer).catch((error: unknown) => {
    countOut();
    throw error;
  });
  if (file === null) {
    countOut();
    throw missing("such blob");
  }
  const stop = new AbortController();
  const client = context.req.raw.signal;
  void stopWithCaller(context, { authenticator, clock, log }, stop);
  const onClosed = (): void => {
    countOut();
    stop.abort();
  };
  const onFailed = (error: unknown): void => {
    const { code, message } = asCourierError(error);
    log.warn({ code, reason: message, request_id: context.get("requestId") }, "Cannot send a blob of the mirror");
  };
  const signal = AbortSignal.any([client, stop.signal]);
  return new Response(blobBody(file, { ...part, signal, onClosed, onFailed }), init);
}

/** @throws CourierError `not_found` when no mirror is served */
function filesOf({ mirrorFiles }: Parts): MirrorFiles {
  if (mirrorFiles !== null) return mirrorFiles;
  throw new CourierError("not_found", "This gpu-server serves no mirror", { hint: "Start it with --serve-mirror" });
}

/** Only what is a model's name becomes part of a path. @throws CourierError `not_found` */
function nameIn({ req }: Context<Env>, tag: string | undefined): { readonly name: ModelName; readonly shown: string } {
  const { host = "", namespace = "", model = "" } = req.param();
  const name = nameAt(host, namespace, model, tag ?? "");
  if (name === null) throw missing("such model");
  return { name, shown: `${host}/${namespace}/${model}:${name.tag}` };
}

function respond(context: Context<Env>, body: Buffer<ArrayBuffer>, headers: Record<string, string>): Response {
  const described = { ...headers, "content-length": String(body.length) };
  return new Response(context.req.method === "HEAD" ? null : body, { headers: described });
}

function missing(what: string): CourierError {
  return new CourierError("not_found", `The mirror has no ${what}`);
}
