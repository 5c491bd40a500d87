// What passes through the port, in each direction, and that nothing is held back or kept.
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { until } from "#tests/support/until.ts";
import { Forwarded, linesResponse } from "./forwarded.ts";

const MEGABYTE = 1024 * 1024;
/** What sockets and the runtime may hold between the two ends. */
const MAX_ON_THE_WAY = 24 * MEGABYTE;
const LARGE = 100 * MEGABYTE;
const CHUNK = new Uint8Array(MEGABYTE).fill(65);

/** A body that is made only when somebody reads it. */
class LazyBody {
  made = 0;
  readonly stream = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        if (this.made === LARGE) return controller.close();
        this.made += CHUNK.byteLength;
        controller.enqueue(CHUNK);
      },
    },
    { highWaterMark: 0 },
  );
}

/** Sends a large body as fast as it is taken: `fetch` would read ahead of its connection. */
class Sender {
  made = 0;
  /** All that came back, until the end of the connection. */
  readonly answer: Promise<string>;

  constructor(url: string) {
    const { host, hostname, port } = new URL(url);
    const { promise, resolve } = Promise.withResolvers<string>();
    this.answer = promise;
    const socket = connect(Number(port), hostname);
    socket.write(
      `POST /api/blobs/x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: ${LARGE}\r\n\r\n`,
    );
    const send = (): void => {
      for (let isTaken = true; isTaken && this.made < LARGE; ) {
        this.made += CHUNK.byteLength;
        isTaken = socket.write(CHUNK);
      }
    };
    let answer = "";
    socket.on("connect", send);
    socket.on("drain", send);
    socket.on("data", (data) => {
      answer += String(data);
    });
    socket.on("close", () => resolve(answer));
  }
}

/** Resolves when nothing more was made in a while. */
async function standstill(maker: { readonly made: number }): Promise<void> {
  for (let before = -1; before !== maker.made || maker.made === 0; await Bun.sleep(100)) before = maker.made;
}

async function bytesOf(body: ReadableStream<Uint8Array> | null): Promise<number> {
  let bytes = 0;
  for await (const chunk of body ?? []) bytes += chunk.byteLength;
  return bytes;
}

describe("a request", () => {
  test("reaches the box's path with its method, query, body and type, and with gpuctl's token", async () => {
    let body = "";
    await using forwarded = await Forwarded.open(async (request) => {
      body = await request.text();
      return new Response("");
    });
    const headers = { "content-type": "application/json", accept: "application/x-ndjson", "user-agent": "ollama/0.32" };
    const sent = { method: "DELETE", headers, body: '{"model":"phi4"}' };
    expect((await forwarded.ask("//api/delete?ts=1", sent)).status).toBe(200);
    const [request] = forwarded.requests;
    expect([request?.line, body]).toEqual(["DELETE /agents/gpu-1/api/delete?ts=1", '{"model":"phi4"}']);
    expect(Object.fromEntries(request?.headers ?? [])).toMatchObject({
      ...headers,
      authorization: "Bearer gc_secret",
      "content-length": "16",
      "accept-encoding": "identity",
    });
  });

  test("brings no credential, no cookie and nothing of its connection with it", async () => {
    await using forwarded = await Forwarded.open(() => new Response(""));
    const foreign = {
      authorization: "Bearer other",
      cookie: "session=1",
      "proxy-authorization": "Basic x",
      "x-forwarded-for": "10.0.0.1",
      forwarded: "for=10.0.0.1",
      connection: "keep-alive, x-secret",
      "x-secret": "1",
      te: "trailers",
      upgrade: "h2c",
      "accept-encoding": "gzip",
    };
    await forwarded.ask("/api/tags", { headers: foreign });
    const [request] = forwarded.requests;
    expect(request?.headers.get("authorization")).toBe("Bearer gc_secret");
    expect(request?.headers.get("accept-encoding")).toBe("identity");
    expect(request?.headers.get("host")).toBe(new URL(forwarded.serverUrl).host);
    const passed = Object.keys(foreign).filter(
      (name) => !["authorization", "connection", "accept-encoding"].includes(name),
    );
    expect(passed.filter((name) => request?.headers.has(name))).toEqual([]);
  });

  test("arrives as it is written, and is answered before its end", async () => {
    const first = Promise.withResolvers<string>();
    await using forwarded = await Forwarded.open(async (request) => {
      const { value } = (await request.body?.getReader().read()) ?? {};
      first.resolve(new TextDecoder().decode(value));
      return Response.json({ error: "no prompts" }, { status: 501 });
    });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const asked = forwarded.ask("/api/blobs/x", { method: "POST", body: readable });
    await writer.write(Buffer.from("first part"));
    expect(await first.promise).toBe("first part");
    const response = await asked;
    expect([response.status, await response.json()]).toEqual([501, { error: "no prompts" }]);
  });

  test("of 100 MB waits for a server that does not read, and then arrives whole", async () => {
    const reads = Promise.withResolvers<void>();
    await using forwarded = await Forwarded.open(async (request) => {
      await reads.promise;
      return Response.json(await bytesOf(request.body));
    });
    const sender = new Sender(forwarded.url);
    await standstill(sender);
    expect(sender.made).toBeLessThan(MAX_ON_THE_WAY);
    reads.resolve();
    expect(await sender.answer).toEndWith(`\r\n\r\n${LARGE}`);
  });
});

describe("a response", () => {
  test("comes with its status, type and length, and the headers that mean something to clients", async () => {
    const headers = {
      "content-type": "application/json",
      "x-gpu-courier-job": "job-1",
      "retry-after": "7",
      "set-cookie": "session=1",
      "www-authenticate": "Bearer",
      "access-control-allow-origin": "*",
    };
    await using forwarded = await Forwarded.open(() => new Response('{"error":"busy"}', { status: 409, headers }));
    const response = await forwarded.ask("/api/tags");
    expect([response.status, await response.text()]).toEqual([409, '{"error":"busy"}']);
    const { "x-gpu-courier-job": job, "retry-after": retry, ...others } = headers;
    expect([response.headers.get("x-gpu-courier-job"), response.headers.get("retry-after")]).toEqual([job, retry]);
    expect(response.headers.get("content-length")).toBe("16");
    expect(response.headers.get("content-type")).toBe(others["content-type"]);
    for (const name of ["set-cookie", "www-authenticate", "access-control-allow-origin"])
      expect(response.headers.has(name)).toBe(false);
  });

  test.each([
    ["of HEAD has the length of what GET has", "HEAD", 200, { "content-length": "325" }, "325"],
    ["of HEAD that failed has its status", "HEAD", 404, {}, null],
    ["without content stays without", "GET", 204, {}, null],
    ["that nothing changed stays without a body", "GET", 304, { etag: '"1"' }, null],
  ] as const)("%s", async (_, method, status, headers, length) => {
    await using forwarded = await Forwarded.open(() => new Response(null, { status, headers }));
    const response = await forwarded.ask("/api/tags", { method });
    expect([response.status, await response.text()]).toEqual([status, ""]);
    if (length !== null) expect(response.headers.get("content-length")).toBe(length);
  });

  test("comes line by line", async () => {
    const written = new TransformStream<Uint8Array, Uint8Array>();
    const writer = written.writable.getWriter();
    await using forwarded = await Forwarded.open(() => linesResponse(written.readable));
    void writer.write(Buffer.from('{"line":1}\n'));
    const reader = (await forwarded.ask("/api/pull", { method: "POST", body: "{}" })).body?.getReader();
    for (const line of ['{"line":1}\n', '{"line":2}\n', '{"line":3}\n']) {
      expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe(line);
      if (line.includes("3")) break;
      void writer.write(Buffer.from(line.replace(/\d/, (digit) => `${Number(digit) + 1}`)));
    }
    void writer.close();
    expect((await reader?.read())?.done).toBe(true);
  });

  test.each(["application/x-ndjson", "application/octet-stream"])(
    "of 100 MB as %s waits for a client that does not read, and then arrives whole",
    async (type) => {
      const body = new LazyBody();
      await using forwarded = await Forwarded.open(
        () => new Response(body.stream, { headers: { "content-type": type } }),
      );
      const response = await forwarded.ask("/api/tags");
      await standstill(body);
      expect(body.made).toBeLessThan(MAX_ON_THE_WAY);
      expect(await bytesOf(response.body)).toBe(LARGE);
    },
  );

  test("that breaks off after a line ends with a line that gives the reason", async () => {
    await using forwarded = await Forwarded.open(() => linesResponse(begunWith('{"status":"pulling manifest"}\n')));
    const reader = (await forwarded.ask("/api/pull", { method: "POST" })).body?.getReader();
    await reader?.read();
    await forwarded.loseServer();
    const line = Buffer.from((await reader?.read())?.value ?? []).toString();
    expect(line).toEndWith("\n");
    expect(JSON.parse(line)).toEqual({
      error: expect.stringMatching(/^The connection to gpu-server at http:\S+ broke off\. A pull continues/),
    });
    expect((await reader?.read())?.done).toBe(true);
  });

  test("that breaks off elsewhere does not look whole", async () => {
    for (const type of ["application/x-ndjson", "application/json"]) {
      await using forwarded = await Forwarded.open(
        () => new Response(begunWith('{"stat'), { headers: { "content-type": type } }),
      );
      const reader = (await forwarded.ask("/api/tags")).body?.getReader();
      await reader?.read();
      await forwarded.loseServer();
      expect(await reader?.read().catch(() => "failed")).toBe("failed");
    }
  });
});

/** A stream that has no end after this. */
function begunWith(text: string): ReadableStream {
  return new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from(text)) });
}

describe("the end of a client's connection", () => {
  test.each([
    ["before the response", false],
    ["in the middle of it", true],
  ])("%s reaches the server at once", async (_, hasBegun) => {
    const [came, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using forwarded = await Forwarded.open(async (request) => {
      request.signal.addEventListener("abort", () => left.resolve());
      came.resolve();
      if (!hasBegun) await left.promise;
      return linesResponse(begunWith("{}\n"));
    });
    const client = new AbortController();
    const asked = forwarded.ask("/api/pull", { method: "POST", body: "{}", signal: client.signal }).catch(() => null);
    await came.promise;
    if (hasBegun) await (await asked)?.body?.getReader().read();
    client.abort();
    await left.promise;
    if (!hasBegun) expect(await asked).toBeNull();
  });

  test("comes for all when the port is given up", async () => {
    let left = 0;
    await using forwarded = await Forwarded.open((request) => {
      request.signal.addEventListener("abort", () => {
        left += 1;
      });
      return linesResponse(begunWith("{}\n"));
    });
    await Promise.all([forwarded.ask("/api/pull"), forwarded.ask("/api/pull")]);
    await forwarded.close();
    await until(() => left === 2);
    expect(await forwarded.ask("/").catch(() => "closed")).toBe("closed");
  });
});

describe("Ollama's command line, which shows no reason when its greeting fails,", () => {
  test("is greeted here, and others by the box", async () => {
    await using forwarded = await Forwarded.open(() => new Response(null, { status: 503 }), { prefix: "/secret" });
    const greeted = async (agent: string) =>
      (await forwarded.ask("/secret/", { method: "HEAD", headers: { "user-agent": agent } })).status;
    expect(await greeted("ollama/0.32.15 (amd64 linux) Go/go1.26.8")).toBe(200);
    expect(forwarded.requests).toEqual([]);
    expect(await greeted("curl/8")).toBe(503);
    expect(forwarded.requests.map(({ line }) => line)).toEqual(["HEAD /agents/gpu-1/"]);
  });
});
