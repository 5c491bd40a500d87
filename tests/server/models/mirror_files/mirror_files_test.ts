// The mirror's models over HTTP: for tokens that may read them, and nothing else of the share.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { blobBody } from "#src/server/models/mirror_files/blob_body.ts";
import { MAX_STREAMS, MirrorFiles } from "#src/server/models/mirror_files/mirror_files.ts";
import { Mirror } from "#src/transport/mirror/mirror.ts";
import { MirrorServer } from "#tests/support/sites/mirror_server.ts";
import { digestOf, MirrorShare } from "#tests/support/sites/mirror_share.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";
import { until } from "#tests/support/until.ts";

const PHI4 = "/v2/registry.ollama.ai/library/phi4";
const WEIGHTS = "0123456789".repeat(1000);
const BLOB = `${PHI4}/blobs/${digestOf(WEIGHTS)}`;

let share: MirrorShare;
let site: MirrorServer;
let text: string;

beforeEach(async () => {
  share = new MirrorShare();
  ({ text } = share.mirrored("registry.ollama.ai/library/phi4/latest", ["config", WEIGHTS]));
  share.mirrored("registry.ollama.ai/library/other/latest", ["of another model"]);
  site = await MirrorServer.open(share.mirror);
});
afterEach(async () => {
  await site[Symbol.asyncDispose]();
  share[Symbol.dispose]();
});

describe("GET /mirror/v2/…", () => {
  test("sends a manifest and a signature byte for byte, and never compressed", async () => {
    mkdirSync(share.at("signatures/registry.ollama.ai/library/phi4"), { recursive: true });
    const signature = JSON.stringify({ signature: "x".repeat(3000) });
    writeFileSync(share.at("signatures/registry.ollama.ai/library/phi4/latest.json"), signature);
    for (const [path, expected] of [
      [`${PHI4}/manifests/latest`, text],
      [`${PHI4}/signatures/latest`, signature],
      [BLOB, WEIGHTS],
    ] as const) {
      const response = await site.ask(path, { headers: { "accept-encoding": "gzip" } });
      expect([response.status, response.headers.get("content-encoding")]).toEqual([200, null]);
      expect(response.headers.get("cache-control")).toBe("no-store, no-transform");
      expect(await response.text()).toBe(expected);
      const head = await site.ask(path, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length")]).toEqual([200, String(expected.length)]);
    }
  });

  test.each([
    ["bytes=2-4", 206, "234", "bytes 2-4/10000"],
    ["bytes=9997-", 206, "789", "bytes 9997-9999/10000"],
    ["bytes=9998-20000", 206, "89", "bytes 9998-9999/10000"],
    ["bytes=10000-", 416, "", "bytes */10000"],
    ["bytes=0-1,4-5", 416, "", "bytes */10000"],
    ["bytes=-3", 416, "", "bytes */10000"],
  ])("answers the range %s with %d", async (range, status, body, shown) => {
    const response = await site.ask(BLOB, { headers: { range } });
    expect([response.status, await response.text()]).toEqual([status, body]);
    expect(response.headers.get("content-range")).toBe(shown);
  });

  test.each([
    ["a model that is not there", "/v2/registry.ollama.ai/library/none/manifests/latest"],
    ["a signature that is not there", `${PHI4}/signatures/latest`],
    ["a blob of another model", `${PHI4}/blobs/${digestOf("of another model")}`],
    ["a blob that no model has", `${PHI4}/blobs/${digestOf("nobody's")}`],
    ["a path for a host", "/v2/..%2f..%2fetc/library/phi4/manifests/latest"],
    ["a path for a tag", `${PHI4}/manifests/..%2f..%2f..%2f..%2fblobs`],
    ["a path for a digest", `${PHI4}/blobs/..%2f..%2fmanifests`],
    ["a name in another spelling", "/v2/registry.ollama.ai/library/phi4:latest/manifests/latest"],
  ])("has no %s", async (_, path) => {
    const response = await site.ask(path);
    expect([response.status, response.headers.get("docker-distribution-api-version")]).toEqual([404, "registry/2.0"]);
    expect(await response.text()).not.toContain(share.root);
  });

  test("follows no link, and sends no blob of another size", async () => {
    const blob = share.at("blobs", digestOf(WEIGHTS).replace(":", "-"));
    writeFileSync(blob, "short");
    for (const method of ["GET", "HEAD"]) expect((await site.ask(BLOB, { method })).status).toBe(404);
    rmSync(blob);
    symlinkSync("/etc/hostname", blob);
    for (const method of ["GET", "HEAD"]) expect((await site.ask(BLOB, { method })).status).toBe(404);
    writeFileSync(share.at("manifests/registry.ollama.ai/library/phi4/latest"), "{");
    expect((await site.ask(`${PHI4}/manifests/latest`)).status).toBe(409);
  });

  test("is 404 on a server that serves no mirror, without the header that says a model is missing", async () => {
    await using server = await openServer();
    const token = server.tokens.add("box", "mirror");
    const { status, headers } = await server.request("GET", `/mirror${PHI4}/manifests/latest`, { token });
    expect([status, headers.get("docker-distribution-api-version")]).toEqual([404, null]);
  });
});

describe("a token of the role mirror", () => {
  test("may read the mirror, and do nothing else", async () => {
    const { server, token } = site;
    expect((await server.request("GET", `/mirror${PHI4}/manifests/latest`, { token })).status).toBe(200);
    const tokens = server.routes.map((_, index) => server.tokens.add(`box-${index}`, "mirror"));
    for (const [index, route] of server.routes.entries()) {
      const [method = "", path = ""] = route.split(" ");
      // Anybody may try to sign in or out, and ask for the root of a box.
      if ((path === "/v1/session" && method !== "GET") || path === "/agents/:agent") continue;
      if (path.startsWith("/mirror/") || !/^\/(?:v1|api|agents|metrics)\b/.test(path)) continue;
      const { status } = await server.request(method, path.replaceAll(/:\w+(?:\{[^}]*\})?/g, "x"), {
        token: tokens[index] ?? "",
        body: {},
      });
      expect([route, status]).toEqual([route, 403]);
    }
    expect((await server.request("POST", `/mirror${PHI4}/manifests/latest`, { token })).status).toBe(403);
    const signIn = await server.request("POST", "/v1/session", { token: null, body: { token } });
    expect(signIn.status).toBe(403);
  });

  test("is what the mirror needs, or the role gp without limits", async () => {
    const { server } = site;
    const statusOf = async (token: string | null): Promise<number> =>
      (await server.request("GET", `/mirror${PHI4}/manifests/latest`, { token })).status;
    const limits = { expiresAtMs: null, agents: ["gpu-1"], verbs: null } as const;
    const scoped = server.tokens.add("scoped", "gp", limits);
    expect(await Promise.all([server.gp, server.viewer, scoped, null, "gpuc_x"].map(statusOf))).toEqual([
      200, 403, 403, 401, 401,
    ]);
  });

  test("ends what is being sent when it is revoked", async () => {
    const large = "x".repeat(64 << 20);
    share.mirrored("registry.ollama.ai/library/large/latest", [large]);
    const response = await site.ask(`/v2/registry.ollama.ai/library/large/blobs/${digestOf(large)}`);
    const reader = response.body?.getReader();
    await reader?.read();
    expect(site.files.total).toBe(1);
    site.server.tokens.revoke("box");
    await until(() => site.files.total === 0);
    await reader?.cancel().catch(() => undefined);
  });
});

describe("blobs that are sent", () => {
  test("are so many at a time, and then it is 429 with the time to wait", async () => {
    const caller = (name: string) =>
      ({ name, way: "token", role: "mirror", agents: null, verbs: null, expiresAtMs: null }) as const;
    const ends = Array.from({ length: MAX_STREAMS / 2 }, () => site.files.add(caller("one")));
    expect(site.files.refusal(caller("one"))).toContain("already reads");
    expect(site.files.refusal(caller("two"))).toBeUndefined();
    ends.push(...Array.from({ length: MAX_STREAMS / 2 }, () => site.files.add(caller("two"))));
    const refused = await site.ask(BLOB);
    expect([refused.status, Number(refused.headers.get("retry-after"))]).toEqual([429, 5]);
    expect((await site.ask(BLOB, { method: "HEAD" })).status).toBe(200);
    for (const end of ends) end();
    expect(await (await site.ask(BLOB)).text()).toBe(WEIGHTS);
    await until(() => site.files.total === 0);
  });

  test("are closed when the client has left, also before it read anything", async () => {
    const large = "x".repeat(64 << 20);
    share.mirrored("registry.ollama.ai/library/large/latest", [large]);
    const path = `/v2/registry.ollama.ai/library/large/blobs/${digestOf(large)}`;
    for (let count = 0; count < 20; count++) {
      const left = new AbortController();
      const response = await site.ask(path, { signal: left.signal });
      if (count % 2 === 0) await response.body?.getReader().read();
      left.abort();
    }
    await until(() => site.files.total === 0);
  });

  test("break off when the file is shorter than its size, and close it", async () => {
    const failed: unknown[] = [];
    const closed: string[] = [];
    const file = {
      read: async () => await Promise.resolve({ bytesRead: 0 }),
      close: async () => void closed.push("file"),
      [Symbol.asyncDispose]: async () => await Promise.resolve(),
    };
    const options = { from: 0, to: 10, signal: new AbortController().signal };
    const body = blobBody(file, {
      ...options,
      onClosed: () => void closed.push("counted"),
      onFailed: (error) => void failed.push(error),
    });
    expect(await new Response(body).text().catch(() => "broken off")).toBe("broken off");
    expect([closed, failed.length]).toEqual([["file", "counted"], 1]);
  });

  test("are counted out when the file cannot be opened", async () => {
    class Broken extends Mirror {
      override async openBlob(): Promise<never> {
        return await Promise.reject(new Error("EIO"));
      }
    }
    const mirror = new Broken(share.share);
    const files = new MirrorFiles(mirror);
    await using server = await openServer({ mirrorFiles: files });
    expect((await server.request("GET", `/mirror${BLOB}`)).status).toBe(500);
    expect(files.total).toBe(0);
  });
});
