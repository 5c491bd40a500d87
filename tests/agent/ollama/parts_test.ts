// The parts of src/agent/ollama/ollama.ts that need no Ollama: addresses, bounds, what a pull's lines add up to.
import { describe, expect, test } from "bun:test";
import { checkedFetch } from "#src/agent/ollama/checked_fetch.ts";
import { PullTracker } from "#src/agent/ollama/pull_tracker.ts";
import { parseOllamaUrl } from "#src/agent/ollama/url.ts";
import { CourierError } from "#src/base/errors.ts";
import { parseAllowedRegistry, parseInsecureRegistry } from "#src/program/registry/registry_host.ts";
import { failure } from "#tests/support/failure.ts";

describe("parseOllamaUrl()", () => {
  const forms = [
    ["", "http://127.0.0.1:11434"],
    ["127.0.0.1", "http://127.0.0.1:11434"],
    ["gpu-box", "http://gpu-box:11434"],
    ["gpu-box:8080", "http://gpu-box:8080"],
    [":8080", "http://127.0.0.1:8080"],
    ["0.0.0.0", "http://127.0.0.1:11434"],
    ["0.0.0.0:8080", "http://127.0.0.1:8080"],
    ["::", "http://[::1]:11434"],
    ["::1", "http://[::1]:11434"],
    ["[::]:8080", "http://[::1]:8080"],
    ["http://127.0.0.1:11434", "http://127.0.0.1:11434"],
    ["http://127.0.0.1:11434/", "http://127.0.0.1:11434"],
    ["HTTP://Gpu-Box:11434", "http://gpu-box:11434"],
    ["http://gpu-box", "http://gpu-box"],
    ["https://gpu-box/ollama/", "https://gpu-box/ollama"],
    [' "127.0.0.1:11434" ', "http://127.0.0.1:11434"],
  ] as const;

  test.each(forms)("reads %p as %p", (text, url) => {
    expect(parseOllamaUrl(text)).toBe(url);
  });

  const wrong = [
    "a b",
    "ftp://gpu-box",
    "http://user:secret@gpu-box",
    "gpu-box:port",
    "gpu-box:99999",
    "http://x/?a=b",
  ];

  test.each(wrong)("throws invalid with a hint when the text is %p", (text) => {
    try {
      parseOllamaUrl(text);
      throw new Error("It was accepted");
    } catch (error) {
      if (!(error instanceof CourierError)) throw error;
      expect(error.code).toBe("invalid");
      expect(error.hint).toContain("11434");
    }
  });
});

describe("parseInsecureRegistry()", () => {
  test.each([
    ["registry.example:5000", "registry.example:5000"],
    ["http://registry.example:5000", "registry.example:5000"],
    ["HTTP://Registry.Example:5000/", "registry.example:5000"],
    ["registry.example:80", "registry.example"],
    ["127.0.0.1:5000", "127.0.0.1:5000"],
    ["[::1]:5000", "[::1]:5000"],
  ])("reads %p as %p", (text, host) => {
    expect(parseInsecureRegistry(text)).toBe(host);
  });

  test.each([
    "https://registry.example",
    "registry.example/namespace",
    "registry.example:port",
    "registry.example:99999",
    "user@registry.example",
    "a b",
    "*",
    "http://",
  ])("throws invalid with an example when the text is %p", (text) => {
    expect(() => parseInsecureRegistry(text)).toThrow(
      expect.objectContaining({ code: "invalid", hint: expect.stringContaining("registry.example:5000") }),
    );
  });
});

describe("parseAllowedRegistry()", () => {
  test.each([
    ["registry.example", "registry.example"],
    ["HTTPS://Registry.Example:443/", "registry.example"],
    ["registry.example:5000", "registry.example:5000"],
    ["*", "*"],
  ])("reads %p as %p", (text, host) => {
    expect(parseAllowedRegistry(text)).toBe(host);
  });

  test.each([
    "http://registry.example",
    "*.example",
    "registry.example/namespace",
    "user@registry.example",
    "https://",
  ])("throws invalid with an example when the text is %p", (text) => {
    expect(() => parseAllowedRegistry(text)).toThrow(
      expect.objectContaining({ code: "invalid", hint: expect.stringContaining("registry.example:5000") }),
    );
  });
});

describe("checkedFetch()", () => {
  test("throws unavailable when a line of a stream is longer than allowed", async () => {
    const headers = { "content-type": "application/x-ndjson" };
    using server = Bun.serve({ port: 0, fetch: () => new Response("x".repeat(2000), { headers }) });
    const asked = { action: "test", url: server.url.href, isPull: false };
    const request = checkedFetch({ asked, signal: new AbortController().signal, maxBytes: 1000, stream: true });
    const response = await request(server.url);
    const error = await failure(response.text());
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("more than 1000 bytes");
  });
});

describe("PullTracker", () => {
  const layer = (digest: string, total: number, completed: number) => ({
    status: `pulling ${digest}`,
    digest,
    ...(total > 0 ? { total } : {}),
    ...(completed > 0 ? { completed } : {}),
  });

  test("note() adds layers up and takes the ones before as whole", () => {
    const tracker = new PullTracker();
    tracker.note({ status: "pulling manifest" });
    expect(tracker.progress).toEqual({ phase: "manifest", completedBytes: 0, totalBytes: null, receivedBytes: 0 });
    tracker.note(layer("a", 100, 0));
    expect(tracker.progress).toEqual({ phase: "downloading", completedBytes: 0, totalBytes: 100, receivedBytes: 0 });
    tracker.note(layer("a", 100, 90));
    tracker.note(layer("b", 50, 10));
    expect(tracker.progress).toEqual({ phase: "downloading", completedBytes: 110, totalBytes: 150, receivedBytes: 90 });
    tracker.note({ status: "verifying sha256 digest" });
    expect(tracker.progress).toEqual({ phase: "verifying", completedBytes: 150, totalBytes: 150, receivedBytes: 90 });
    tracker.note({ status: "writing manifest" });
    tracker.note({ status: "removing unused layers" });
    expect(tracker.progress.phase).toBe("writing");
  });

  test("note() never takes bytes back when Ollama fetches a part again", () => {
    const tracker = new PullTracker();
    tracker.note(layer("a", 100, 80));
    tracker.note(layer("a", 100, 30));
    expect(tracker.progress.completedBytes).toBe(80);
  });

  test("note() distinguishes progress from repetition", () => {
    const tracker = new PullTracker();
    expect(tracker.note(layer("a", 100, 80))).toBe(true);
    expect(tracker.note(layer("a", 100, 80))).toBe(false);
    expect(tracker.note(layer("a", 100, 30))).toBe(false);
    expect(tracker.note(layer("a", 100, 40))).toBe(true);
  });

  test("note() counts no more than the total when a line claims more", () => {
    const tracker = new PullTracker();
    tracker.note(layer("a", 100, 500));
    expect(tracker.progress).toEqual({ phase: "downloading", completedBytes: 100, totalBytes: 100, receivedBytes: 0 });
  });

  test("note() completes nothing when a status without a layer comes in between", () => {
    const tracker = new PullTracker();
    tracker.note(layer("a", 100, 10));
    tracker.note({ status: "retrying" });
    expect(tracker.progress).toEqual({ phase: "downloading", completedBytes: 10, totalBytes: 100, receivedBytes: 0 });
  });
});
