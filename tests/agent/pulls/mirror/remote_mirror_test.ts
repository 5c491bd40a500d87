// The mirror of a gpu-server as a box reads it: bounded, verified as far as it can be, and never at another address.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { RemoteMirror } from "#src/agent/pulls/mirror/remote_mirror.ts";
import { systemClock } from "#src/base/clock.ts";
import { asCourierError } from "#src/base/errors.ts";
import { parseModelName } from "#src/base/model_name.ts";
import { MAX_MANIFEST_BYTES } from "#src/program/registry/manifest.ts";
import { hurriedClock } from "#tests/support/clocks/hurried_clock.ts";
import { failure } from "#tests/support/failure.ts";
import { digestOf } from "#tests/support/sites/mirror_share.ts";

const PHI4 = parseModelName("phi4:latest");
const LAYER = { digest: digestOf("0123456789"), bytes: 10 };
const MANIFEST = JSON.stringify({ layers: [{ digest: LAYER.digest, size: LAYER.bytes }] });
const REGISTRY = { "docker-distribution-api-version": "registry/2.0" };
const never = new AbortController().signal;

let answer: (request: Request) => Response | Promise<Response>;
let asked: { readonly method: string; readonly url: string; readonly headers: Headers }[];
let server: Bun.Server<undefined>;
let mirror: RemoteMirror;

beforeEach(() => {
  asked = [];
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { method, url, headers } = request;
      asked.push({ method, url, headers: new Headers(headers) });
      return await answer(request);
    },
  });
  mirror = mirrorAt(server.url.origin);
});
afterEach(async () => await server.stop(true));

function mirrorAt(origin: string, clock = systemClock): RemoteMirror {
  return new RemoteMirror({ base: `${origin}/mirror`, token: () => "gpuc_secret", ca: undefined, clock });
}

function part(from: number, to: number, signal = never) {
  return { name: PHI4, from, to, signal };
}

async function bytes(from: number, to: number): Promise<string | null> {
  await using file = await mirror.openBlob(LAYER, part(from, to));
  if (file === null) return null;
  const buffer = Buffer.alloc(100);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, length, 3, from + length);
    if (bytesRead === 0) return buffer.toString("utf8", 0, length);
    length += bytesRead;
  }
}

describe("find()", () => {
  test("asks with the token, for the model's path, and takes the manifest as it is", async () => {
    answer = () => new Response(MANIFEST);
    expect(await mirror.find("other.example:5000/me/phi4:14b")).toMatchObject({ text: MANIFEST });
    const [request] = asked;
    expect(new URL(request?.url ?? "").pathname).toBe("/mirror/v2/other.example%3A5000/me/phi4/manifests/14b");
    expect(request?.headers.get("authorization")).toBe("Bearer gpuc_secret");
    expect(request?.headers.get("accept-encoding")).toBe("identity");
  });

  test("returns null for a model that is not there, but not where there is no mirror", async () => {
    answer = () => new Response("", { status: 404, headers: REGISTRY });
    expect(await mirror.find("phi4:latest")).toBeNull();
    answer = () => new Response("", { status: 404 });
    expect(await failure(mirror.find("phi4:latest"))).toMatchObject({ code: "unavailable" });
  });

  test.each([
    ["401", 401, "forbidden"],
    ["403", 403, "forbidden"],
    ["409", 409, "conflict"],
    ["500", 500, "unavailable"],
    ["a redirect", 307, "unavailable"],
  ] as const)("%s is %d: %s", async (_, status, code) => {
    answer = () => new Response(null, { status, headers: { location: `${server.url.origin}/elsewhere` } });
    const error = await failure(mirror.find("phi4:latest"));
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint ?? ""}`).not.toContain("gpuc_secret");
    expect(asked).toHaveLength(1);
  });

  test.each([
    ["what is no manifest", "<html>", "conflict"],
    ["what is too large", "x".repeat(MAX_MANIFEST_BYTES + 1), "unavailable"],
  ] as const)("refuses %s", async (_, text, code) => {
    answer = () => new Response(text);
    expect(await failure(mirror.find("phi4:latest"))).toMatchObject({ code });
  });

  test("is unavailable when nobody answers there, or nothing comes for 30 s", async () => {
    const hurried = mirrorAt(server.url.origin, hurriedClock(100));
    answer = async () => await new Promise<Response>(() => undefined);
    expect((await failure(hurried.find("phi4:latest"))).message).toContain("does not answer within 30 s");
    await server.stop(true);
    expect(await failure(mirror.find("phi4:latest"))).toMatchObject({ code: "unavailable" });
  });
});

describe("openBlob()", () => {
  const ranged = (request: Request): Response => {
    const [, from = "", last = ""] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
    const text = "0123456789".slice(Number(from), Number(last) + 1);
    return new Response(text, { status: 206, headers: { "content-range": `bytes ${from}-${last}/10` } });
  };

  test("asks for exactly the part that is wanted", async () => {
    answer = ranged;
    expect(await bytes(0, 10)).toBe("0123456789");
    expect(await bytes(2, 6)).toBe("2345");
    expect(asked.map(({ headers }) => headers.get("range"))).toEqual(["bytes=0-9", "bytes=2-5"]);
  });

  test.each([
    ["another size", { status: 206, headers: { "content-range": "bytes 0-9/11" } }],
    ["another part", { status: 206, headers: { "content-range": "bytes 1-9/10" } }],
    ["all of it without a range", { status: 200 }],
  ])("takes nothing from a blob that comes with %s", async (_, init) => {
    answer = () => new Response("0123456789", init);
    expect(await bytes(0, 10)).toBeNull();
  });

  test("only looks for an empty part, and returns null for what is not there", async () => {
    answer = () => new Response(null, { headers: { "content-length": "10" } });
    expect(await bytes(0, 0)).toBe("");
    expect(asked.map(({ method }) => method)).toEqual(["HEAD"]);
    expect(await mirror.missing([LAYER, { ...LAYER, bytes: 11 }], PHI4)).toEqual([{ ...LAYER, bytes: 11 }]);
    answer = () => new Response(null, { status: 404, headers: REGISTRY });
    expect(await bytes(0, 10)).toBeNull();
    expect(await mirror.missing([LAYER], PHI4)).toEqual([LAYER]);
  });

  test("waits for a place on a busy server, until nobody wants the blob any more", async () => {
    const hurried = mirrorAt(server.url.origin, hurriedClock(20));
    const busy = (): Response => new Response("", { status: 429, headers: { "retry-after": "2" } });
    answer = (request) => (asked.length < 4 ? busy() : ranged(request));
    await using file = await hurried.openBlob(LAYER, part(0, 10));
    expect(file).not.toBeNull();
    expect(asked).toHaveLength(4);
    answer = busy;
    const left = new AbortController();
    const opening = failure(hurried.openBlob(LAYER, part(0, 10, left.signal)));
    left.abort();
    expect(await opening).toMatchObject({ code: "cancelled" });
  });

  test("reads four blobs at a time, goes on when one is closed, and looks for others meanwhile", async () => {
    answer = ranged;
    const opened = await Promise.all([0, 1, 2, 3].map(async () => await mirror.openBlob(LAYER, part(0, 10))));
    let isOpen = false;
    const fifth = mirror.openBlob(LAYER, part(0, 10)).then((file) => {
      isOpen = true;
      return file;
    });
    expect(await mirror.missing([LAYER], PHI4)).toEqual([LAYER]);
    expect([isOpen, asked.map(({ method }) => method)]).toEqual([false, ["GET", "GET", "GET", "GET", "HEAD"]]);
    await opened[0]?.close();
    await (await fifth)?.close();
    for (const file of opened) await file?.close();
    expect(asked).toHaveLength(6);
  });

  test("ends with a server that ends in the middle, and fails when it sends nothing more for 30 s", async () => {
    const sending = (end: (controller: ReadableStreamDefaultController<Uint8Array>) => void) => () =>
      new Response(
        new ReadableStream<Uint8Array>({
          start: (controller) => {
            controller.enqueue(Buffer.from("012"));
            end(controller);
          },
        }),
        { status: 206, headers: { "content-range": "bytes 0-9/10", "content-length": "10" } },
      );
    answer = sending(() => undefined);
    mirror = mirrorAt(server.url.origin, hurriedClock(100));
    expect((await failure(bytes(0, 10))).message).toContain("sends nothing for 30 s");
    answer = sending((controller) => controller.close());
    expect(await bytes(0, 10).catch((error: unknown) => asCourierError(error).code)).not.toBe("0123456789");
  });
});
