// src/agent/ollama/ollama.ts against an Ollama that is broken in ways only the simulation can be.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import type { AnswerFault, PullFault } from "#sim/ollama/faults.ts";
import { type SimulatedOllama, startSimulatedOllama } from "#sim/ollama/ollama.ts";
import { Ollama } from "#src/agent/ollama/ollama.ts";
import { retryOf } from "#src/agent/ollama/pull_failure.ts";
import type { ErrorCode } from "#src/base/errors.ts";
import { connectionReason } from "#src/program/registry/connection.ts";
import { failure } from "#tests/support/failure.ts";
import { until } from "#tests/support/until.ts";

const SIZE = 4_000_000;
const CONFIG = { digest: `sha256:${"c".repeat(64)}`, size: 400 };

let simulation: SimulatedOllama;
let ollama: Ollama;

beforeEach(async () => {
  const catalog = [{ name: "m", layers: [SIZE], config: CONFIG }];
  simulation = await startSimulatedOllama({ catalog, bytesPerSecond: 40_000_000, progressIntervalMs: 10 });
  // Tests of the limits set their own. Here a busy machine must not run into them before the fault shows.
  ollama = new Ollama({ url: simulation.url, requestTimeoutMs: 30_000, stallMs: 30_000 });
});
afterEach(async () => await simulation.stop());

/** Every request there is. */
const requests: [name: string, send: () => Promise<unknown>][] = [
  ["version()", async () => await ollama.version()],
  ["listModels()", async () => await ollama.listModels()],
  ["listRunning()", async () => await ollama.listRunning()],
  ["deleteModel()", async () => await ollama.deleteModel("m")],
  ["pullModel()", async () => await ollama.pullModel("m")],
];

describe.each(requests)("%s", (_name, send) => {
  test("throws unavailable, naming Ollama, its address and a remedy, when the connection is refused", async () => {
    await simulation.refuse();
    const error = await failure(send());
    expect(error.code).toBe("unavailable");
    expect(error.message).toEndWith(": Ollama does not answer (connection refused)");
    expect(error.hint).toBe(
      `On this machine: systemctl status ollama, or set --ollama to where it listens (--ollama is ${simulation.url})`,
    );
  });

  test("names its machine in the hint, which is read on another one", async () => {
    await simulation.refuse();
    ollama = new Ollama({ url: simulation.url, machine: "gpu-1" });
    expect((await failure(send())).hint).toStartWith("On gpu-1: systemctl status ollama, or set --ollama");
  });

  test("throws unavailable when Ollama accepts and never answers", async () => {
    simulation.faults.answer = "hang";
    ollama = new Ollama({ url: simulation.url, requestTimeoutMs: 20, stallMs: 20 });
    const error = await failure(send());
    expect(error.code).toBe("unavailable");
    expect(error.message).toMatch(/did not answer|made no progress/);
  });

  const answers: [what: string, answer: AnswerFault, code: ErrorCode][] = [
    ["a web page", "html", "unavailable"],
    ["half a JSON document", "garbled", "unavailable"],
    ["200 with an error", { status: 200, error: "database is locked" }, "internal"],
    ["500 with a text it does not know", { status: 500, error: "database is locked" }, "internal"],
    ["503", { status: 503, error: "server busy" }, "unavailable"],
    ["401", { status: 401, error: "unauthorized" }, "forbidden"],
  ];

  test.each(answers)("throws its code when the answer is %s", async (_what, answer, code) => {
    simulation.faults.answer = answer;
    expect((await failure(send())).code).toBe(code);
  });

  test("works at once when Ollama comes back", async () => {
    simulation.install({ name: "m", layers: [10] });
    await ollama.version();
    await simulation.refuse();
    await failure(send());
    simulation.accept();
    await send();
  });
});

describe("other requests than pulls", () => {
  const registryWords = /registry|network/i;

  // `gpuctl rm` of a model whose manifest is an empty file got a hint about the registry.
  test.each([
    "EOF",
    "unexpected EOF",
    "unexpected end of JSON input",
    "invalid character 'x' looking for beginning of value",
  ])("name a damaged manifest and its repair when Ollama reports %j", async (text) => {
    simulation.faults.answer = { status: 500, error: text };
    for (const send of [async () => await ollama.deleteModel("m"), async () => await ollama.showModel("m")]) {
      const error = await failure(send());
      expect([error.code, error.hint]).toEqual([
        "internal",
        "The model's manifest is damaged: pull the model again to repair it",
      ]);
    }
  });

  test("get no hint about a registry", async () => {
    for (const text of ["dial tcp 127.0.0.1:9: connect: connection refused", "x509: unknown", "read tcp: timeout"]) {
      simulation.faults.answer = { status: 500, error: text };
      const error = await failure(ollama.deleteModel("m"));
      expect([error.code, error.hint ?? ""]).toEqual(["internal", expect.not.stringMatching(registryWords)]);
    }
  });

  test("show the text that Ollama gives with 401 and 403", async () => {
    for (const status of [401, 403]) {
      simulation.faults.answer = { status, error: "this model needs a subscription" };
      const error = await failure(ollama.showModel("m"));
      expect([error.code, error.message]).toEqual(["forbidden", expect.stringContaining("needs a subscription")]);
    }
  });
});

describe("a connection that fails", () => {
  const reason = async (url: string): Promise<string> => {
    const { message, hint } = await failure(new Ollama({ url, requestTimeoutMs: 5_000 }).version());
    return `${message.replace(/.*: Ollama /, "")} | ${hint}`;
  };

  test("names an unknown host", async () => {
    expect(await reason("http://no-such-host.invalid:11434")).toMatch(
      /^does not answer \(no (such host|name server knows its host)\) .* DNS \(--ollama is /,
    );
  });

  test("names a port that speaks no TLS, and one that speaks no HTTP", async () => {
    expect(await reason(simulation.url.replace("http:", "https:"))).toStartWith(
      "does not speak TLS on that port | Use http://",
    );
    const other = createServer((socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH\r\n")));
    await new Promise<void>((listening) => other.listen(0, "127.0.0.1", listening));
    try {
      const address = other.address();
      const port = typeof address === "object" ? address?.port : 0;
      expect(await reason(`http://127.0.0.1:${port}`)).toStartWith("does not speak HTTP on that port | Set --ollama");
    } finally {
      other.close();
    }
  });

  test("maps each code of the system to its reason", () => {
    const kindOf = (code: string) =>
      connectionReason(Object.assign(new Error("self signed certificate"), { code })).kind;
    expect(["ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT"].map(kindOf)).toEqual(["route", "route", "route"]);
    expect(["ENOTFOUND", "EAI_AGAIN"].map(kindOf)).toEqual(["name", "name"]);
    expect(["DEPTH_ZERO_SELF_SIGNED_CERT", "CERT_HAS_EXPIRED", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"].map(kindOf)).toEqual([
      "certificate",
      "certificate",
      "certificate",
    ]);
    expect(["ECONNRESET", "EPIPE", "new"].map(kindOf)).toEqual(["ended", "ended", "ended"]);
  });
});

describe("all requests at once", () => {
  test("throw cancelled when their caller gives up while Ollama hangs", async () => {
    simulation.faults.answer = "hang";
    const controller = new AbortController();
    const calls: Promise<unknown>[] = [
      ollama.version(controller.signal),
      ollama.listModels(controller.signal),
      ollama.listRunning(controller.signal),
      ollama.deleteModel("m", controller.signal),
      ollama.pullModel("m", { signal: controller.signal }),
    ];
    const errors = Promise.all(calls.map(failure));
    await until(() => Object.keys(simulation.counters.requests).length === calls.length);
    controller.abort();
    expect((await errors).map(({ code }) => code)).toEqual(calls.map(() => "cancelled"));
  });
});

describe("listModels()", () => {
  test("throws unavailable when the answer is larger than any list", async () => {
    simulation.install({ name: "m", layers: [10], details: { family: "x".repeat(65_000_000) } });
    const error = await failure(ollama.listModels());
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("more than 64000000 bytes");
  });

  test("throws unavailable when an entry is not a model's", async () => {
    simulation.install({ name: "n", layers: [-1000], config: CONFIG });
    expect((await failure(ollama.listModels())).message).toContain("lacks fields that Ollama's has");
  });

  test("waits when the answer is slow", async () => {
    simulation.faults.tagsDelayMs = 50;
    expect(await ollama.listModels()).toEqual([]);
  });
});

describe("listRunning()", () => {
  test("returns what is loaded, with its memory", async () => {
    simulation.install({ name: "m", layers: [10] });
    simulation.load("m");
    const [running] = await ollama.listRunning();
    expect(running?.name).toBe("m:latest");
    expect(running?.size_vram).toBe(running?.size ?? -1);
  });
});

describe("pullModel()", () => {
  const afterBytes = SIZE / 4;
  const broken: [what: string, kind: PullFault["kind"], message: RegExp][] = [
    ["the connection is cut in the middle", "cut", /ended the connection/],
    ["the stream ends in half a line", "garble", /ended the connection|cannot be read/],
    ["lines come and nothing grows", "stall", /made no progress for/],
    ["no line comes any more", "silence", /made no progress for/],
  ];

  test.each(broken)("throws unavailable and keeps what it has when %s", async (_what, kind, message) => {
    simulation.faults.pull = { afterBytes, kind };
    const stalls = kind === "stall" || kind === "silence";
    ollama = new Ollama({ url: simulation.url, stallMs: stalls ? 600 : 10_000 });
    const error = await failure(ollama.pullModel("m"));
    expect(error.code).toBe("unavailable");
    expect(error.message).toMatch(message);
    await until(() => simulation.counters.openPulls === 0);
    expect(simulation.partialBytes("m")).toBe(afterBytes);
    simulation.faults.pull = null;
    await ollama.pullModel("m");
    expect(simulation.downloads.fetchedBytes).toBe(SIZE + CONFIG.size);
  });

  const manifest = "pull model manifest: ";
  const registry = `${manifest}Get "https://registry.ollama.ai/v2/library/m/manifests/latest": `;
  const texts: [text: string, code: ErrorCode][] = [
    [`${manifest}file does not exist`, "not_found"],
    [`${manifest}unauthorized: access denied`, "forbidden"],
    [`${manifest}realm host "" does not match original host "127.0.0.1:5000"`, "forbidden"],
    [`${manifest}400: {"error":"The specified tag is not available in the repository."}`, "invalid"],
    [`${manifest}412: The model requires a newer version of Ollama.\n\nPlease download`, "unimplemented"],
    [`${manifest}429: too many requests`, "unavailable"],
    [`${manifest}500: boom`, "unavailable"],
    [`${registry}dial tcp: lookup registry.ollama.ai on 127.0.0.53:53: no such host`, "unavailable"],
    [`${registry}dial tcp 127.0.0.1:9: connect: connection refused`, "unavailable"],
    [`${registry}net/http: TLS handshake timeout`, "unavailable"],
    [`${registry}http: server gave HTTP response to HTTPS client`, "invalid"],
    ["write /models/blobs/sha256-0-partial: no space left on device", "exhausted"],
    ["open /models/blobs/sha256-0-partial-0: read-only file system", "unavailable"],
    ["open /models/blobs/sha256-0-partial-0: permission denied", "unavailable"],
    ["max retries exceeded: unexpected EOF", "unavailable"],
    ["context canceled", "unavailable"],
    ["something new", "internal"],
    // RFC 9110: a registry's last word, except where the status itself says that it will pass.
    [`${manifest}408: slow`, "unavailable"],
    [`${manifest}425: too early`, "unavailable"],
    [`${manifest}405: `, "invalid"],
    [`${manifest}410: gone`, "not_found"],
    [`${manifest}412: precondition failed`, "invalid"],
    [`${manifest}418: I'm a teapot, not 503: busy`, "invalid"],
    [`${manifest}451: unavailable for legal reasons`, "forbidden"],
    [`${manifest}403: denied`, "forbidden"],
    ["410: gone", "not_found"],
    ["unexpected status code 451", "forbidden"],
    [`${manifest}500: {"error":"model 'x' was 404: gone"}`, "unavailable"],
    [`${registry}tls: failed to verify certificate: x509: certificate signed by unknown authority`, "invalid"],
    [`${registry}tls: failed to verify certificate: x509: certificate has expired or is not yet valid: now`, "invalid"],
    [
      `${registry}tls: failed to verify certificate: x509: certificate is valid for a, not registry.ollama.ai`,
      "invalid",
    ],
    [`${registry}tls: first record does not look like a TLS handshake`, "invalid"],
    [`${registry}remote error: tls: handshake failure`, "invalid"],
    [`${registry}remote error: tls: protocol version not supported`, "invalid"],
    [`${registry}net/http: HTTP/1.x transport connection broken: malformed HTTP response "\\x15\\x03"`, "invalid"],
    [`${registry}local error: tls: bad record MAC`, "unavailable"],
    [`${registry}EOF`, "unavailable"],
  ];

  test.each(texts)("throws for the last line %j the code %s", async (text, code) => {
    simulation.faults.pull = { afterBytes: 0, kind: { error: text } };
    const error = await failure(ollama.pullModel("m"));
    expect(error.code).toBe(code);
    expect(error.message).not.toContain("\n");
    expect(error.message).toContain('Cannot pull "m": Ollama says: ');
  });

  test("a failure that no later attempt can change is never retried, and its hint shows what to do", async () => {
    for (const [text, hint] of [
      [`${manifest}410: gone`, "no longer has"],
      [`${manifest}451: no`, "legal reasons"],
      [`${registry}tls: failed to verify certificate: x509: certificate signed by unknown authority`, "add its CA"],
      [`${registry}tls: failed to verify certificate: x509: certificate has expired or is not yet valid: now`, "clock"],
      [`${registry}tls: first record does not look like a TLS handshake`, "--insecure-registry HOST:PORT"],
      [`${manifest}unauthorized: access denied`, "private, or its name is misspelled"],
    ] as const) {
      simulation.faults.pull = { afterBytes: 0, kind: { error: text } };
      const error = await failure(ollama.pullModel("m"));
      expect([text, retryOf(error), error.hint]).toEqual([text, "never", expect.stringContaining(hint)]);
    }
  });

  test("throws unavailable when what was fetched is not what was wanted, and fetches it again", async () => {
    const text = "digest mismatch, file must be downloaded again: want sha256:0, got sha256:1";
    simulation.faults.pull = { afterBytes: Infinity, kind: { error: text } };
    expect((await failure(ollama.pullModel("m"))).code).toBe("unavailable");
    simulation.faults.pull = null;
    await ollama.pullModel("m");
    expect(simulation.downloads.fetchedBytes).toBe(2 * (SIZE + CONFIG.size));
  });

  test("closes the connection and keeps what it has when its signal aborts", async () => {
    const controller = new AbortController();
    const onProgress = (progress: { completedBytes: number }): void => {
      if (progress.completedBytes > 0) controller.abort();
    };
    const error = await failure(ollama.pullModel("m", { signal: controller.signal, onProgress }));
    expect(error.code).toBe("cancelled");
    await until(() => simulation.counters.openPulls === 0);
    const kept = simulation.partialBytes("m");
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(SIZE);
    await ollama.pullModel("m");
    expect(simulation.downloads.fetchedBytes).toBe(SIZE + CONFIG.size);
  });

  test("closes the connection when what it was given to call throws", async () => {
    const onProgress = (): void => {
      throw new Error("from the test");
    };
    await failure(ollama.pullModel("m", { onProgress }));
    await until(() => simulation.counters.openPulls === 0);
    expect(simulation.installed()).toEqual([]);
  });

  test("asks nothing when its signal was aborted before", async () => {
    expect((await failure(ollama.pullModel("m", { signal: AbortSignal.abort() }))).code).toBe("cancelled");
    expect(simulation.counters.requests).toEqual({});
  });

  test("waits longer than its limit while Ollama verifies a model without reporting", async () => {
    // 40 MB at the slowest disk's 20 MB/s: 2 s more.
    simulation.offer({ name: "m", layers: [40_000_000] });
    const { faults, downloads } = simulation;
    downloads.bytesPerSecond = 400_000_000;
    faults.pull = { afterBytes: Infinity, kind: "silence" };
    ollama = new Ollama({ url: simulation.url, stallMs: 300 });
    const phases: string[] = [];
    const pulled = ollama.pullModel("m", { onProgress: ({ phase }) => phases.push(phase) });
    await until(() => phases.includes("verifying"));
    setTimeout(() => (faults.pull = null), 500);
    await pulled;
  });

  test("reaches Ollama when the environment names a proxy", async () => {
    const before = process.env["HTTP_PROXY"];
    process.env["HTTP_PROXY"] = "http://127.0.0.1:9";
    try {
      await ollama.pullModel("m");
    } finally {
      if (before === undefined) delete process.env["HTTP_PROXY"];
      else process.env["HTTP_PROXY"] = before;
    }
  });
});
