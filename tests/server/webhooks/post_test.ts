// src/server/webhooks/http/post.ts over real sockets: what it sends, where it connects to, and what it leaves alone.
import { afterAll, afterEach, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { openPost, type Post, type PostOptions } from "#src/server/webhooks/http/post.ts";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { failure } from "#tests/support/failure.ts";

const REQUEST = { headers: { "webhook-id": "msg_1" }, body: '{"a":1}' };
const closing: (() => unknown)[] = [];
const tls = new TlsServers();
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => await tls.stop());

function serve(answer: (request: Request) => Response | Promise<Response>): URL {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  closing.push(async () => await server.stop(true));
  return server.url;
}

/** Answers each connection with these bytes, and does not end it. */
async function serveRaw(bytes: string, onData: (socketBytes: number) => void = () => undefined): Promise<URL> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(bytes);
      const flood = (): void => {
        while (socket.write("x".repeat(65_536)));
        onData(socket.bytesWritten);
      };
      socket.on("drain", flood);
      flood();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  const address = server.address();
  return new URL(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`);
}

function open(options: Partial<PostOptions> = {}): (url: URL) => ReturnType<Post> {
  const post = openPost({ ca: null, timeoutMs: 5_000, ...options });
  return async (url) => await post({ url, ...REQUEST }, new AbortController().signal);
}

test("posts the body with its headers, and returns status and Retry-After", async () => {
  const seen: unknown[] = [];
  const url = serve(async (request) => {
    const { method, headers } = request;
    const { pathname, search } = new URL(request.url);
    const names = ["webhook-id", "content-type", "host", "accept-encoding"];
    seen.push(
      method,
      pathname + search,
      names.map((name) => headers.get(name)),
      await request.text(),
    );
    return new Response("later", { status: 503, headers: { "retry-after": "7" } });
  });
  const reply = await open()(new URL("/hook?key=1", url));
  expect(reply).toEqual({ status: 503, retryAfter: "7" });
  const headers = ["msg_1", "application/json", url.host, "identity"];
  expect(seen).toEqual(["POST", "/hook?key=1", headers, REQUEST.body]);
});

test("follows no redirect", async () => {
  let isFollowed = false;
  const other = serve(() => {
    isFollowed = true;
    return new Response();
  });
  const url = serve(() => Response.redirect(other.href, 307));
  expect((await open()(url)).status).toBe(307);
  expect(isFollowed).toBe(false);
});

test("reads no body, however much the receiver sends", async () => {
  let written = 0;
  const url = await serveRaw("HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n", (bytes) => {
    written = bytes;
  });
  expect((await open()(url)).status).toBe(200);
  expect(written).toBeLessThan(16_000_000);
});

test("waits for a silent receiver, or resolver, only so long", async () => {
  const silent = serve(async () => await new Promise<Response>(() => undefined));
  const error = await failure(open({ timeoutMs: 100 })(silent));
  expect([error.code, error.message]).toEqual(["unavailable", `${silent.host} does not answer within 0.1 s`]);
  const resolve = async (): Promise<string[]> => await new Promise(() => undefined);
  const lost = await failure(open({ timeoutMs: 100, resolve })(new URL("http://hooks.test/")));
  expect(lost.message).toBe("hooks.test does not answer within 0.1 s");
});

test("a name that leads to a refused address, if only with one of several, gets nothing", async () => {
  const connections: string[] = [];
  const url = serve((request) => {
    connections.push(request.url);
    return new Response();
  });
  for (const addresses of [["169.254.169.254"], ["127.0.0.1", "::ffff:169.254.169.254"], ["127.0.0.1", "8.8.8.8"]]) {
    const resolve = async (): Promise<string[]> => await Promise.resolve(addresses);
    const error = await failure(open({ resolve })(new URL(`http://hooks.test:${url.port}/`)));
    expect([error.code, error.message]).toEqual(["forbidden", expect.stringContaining(addresses.at(-1) ?? "")]);
  }
  expect(connections).toEqual([]);
});

test("connects to the address that was checked, and tries the next where nobody listens", async () => {
  const url = serve((request) => new Response(null, { status: request.headers.get("host") === to.host ? 204 : 400 }));
  const asked: string[] = [];
  const resolve = async (name: string): Promise<string[]> => {
    asked.push(name);
    return await Promise.resolve(["::1", "127.0.0.2", "127.0.0.1"]);
  };
  const to = new URL(`http://hooks.test:${url.port}/`);
  expect([(await open({ resolve })(to)).status, asked]).toEqual([204, ["hooks.test"]]);
  const gone = await failure(open({ resolve: async () => ["127.0.0.2"] })(to));
  expect(gone.message).toMatch(/^hooks\.test:\d+ cannot be reached: /);
});

test("over TLS the certificate must be of the name, not of the address", async () => {
  const server = tls.start(() => new Response(null, { status: 204 }));
  const [, port] = server.host.split(":");
  const resolve = async (): Promise<string[]> => await Promise.resolve(["127.0.0.1"]);
  const trusting = open({ resolve, ca: tls.pem });
  expect((await trusting(new URL(`https://localhost:${port}/`))).status).toBe(204);
  expect((await trusting(new URL(`https://127.0.0.1:${port}/`))).status).toBe(204);
  const wrong = await failure(trusting(new URL(`https://hooks.test:${port}/`)));
  expect(wrong.message).toContain("ERR_TLS_CERT_ALTNAME_INVALID");
  const strange = await failure(open({ resolve })(new URL(`https://localhost:${port}/`)));
  expect(strange.message).toContain("SELF_SIGNED");
  expect(server.requests).toEqual(["/", "/"]);
});

test("no proxy of the environment gets a request", async () => {
  const asked: string[] = [];
  const proxy = serve((request) => {
    asked.push(request.url);
    return new Response();
  });
  const url = serve(() => new Response(null, { status: 204 }));
  const script = `
    const { openPost } = await import(${JSON.stringify(`${import.meta.dir}/../../../src/server/webhooks/http/post.ts`)});
    const post = openPost({ ca: null, resolve: async () => ["127.0.0.1"] });
    const send = async (url) => (await post({ url: new URL(url), headers: {}, body: "" }, new AbortController().signal)).status;
    console.log(await send(${JSON.stringify(url.href)}), await send("http://hooks.test:${url.port}/"));`;
  const env = Object.fromEntries(
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"].map((name) => [name, proxy.href]),
  );
  const child = Bun.spawn([process.execPath, "-e", script], { env, stdout: "pipe", stderr: "inherit" });
  expect([await child.stdout.text(), asked]).toEqual(["204 204\n", []]);
});
