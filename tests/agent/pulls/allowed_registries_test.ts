// The registries that pulls may use: by name, and where one that is allowed redirects to.
import { afterAll, describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { AllowedRegistries } from "#src/program/registry/allowed_registries.ts";
import { Registry } from "#src/program/registry/registry.ts";
import { DEFAULT_REGISTRIES } from "#src/program/registry/registry_host.ts";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { failure } from "#tests/support/failure.ts";

const MANIFEST = JSON.stringify({ layers: [{ digest: `sha256:${"a".repeat(64)}`, size: 9_000 }] });

const servers = new TlsServers();
afterAll(async () => await servers.stop());

function allowing(allowed: readonly string[], insecure: readonly string[] = []): AllowedRegistries {
  return new AllowedRegistries({ agent: "gpu-1", allowed, insecure });
}

function refusal(registries: AllowedRegistries, model: string): CourierError | null {
  try {
    registries.requireAllowed(model);
    return null;
  } catch (error) {
    if (error instanceof CourierError) return error;
    throw error;
  }
}

describe("requireAllowed()", () => {
  test.each([
    ["phi4:latest", true],
    ["me/phi4:latest", true],
    ["REGISTRY.Ollama.ai:443/me/phi4:latest", true],
    ["hf.co/me/phi4:latest", true],
    ["HuggingFace.co/me/phi4:latest", true],
    ["registry.ollama.ai:5000/me/phi4:latest", false],
    ["registry.ollama.ai.evil.example/me/phi4:latest", false],
    ["evil.registry.ollama.ai/me/phi4:latest", false],
    ["registry.ollama.ai./me/phi4:latest", false],
    ["registry.ollama.ai:99999/me/phi4:latest", false],
    ["127.0.0.1:11434/me/phi4:latest", false],
    ["2130706433/me/phi4:latest", false],
    ["169.254.169.254/latest/meta-data:latest", false],
  ])("by default answers for %s: %p", (model, isAllowed) => {
    expect(refusal(allowing(DEFAULT_REGISTRIES), model)?.code).toBe(isAllowed ? undefined : "forbidden");
  });

  test("compares hosts as they are parsed, and allows those without TLS as well", () => {
    const registries = allowing(["Registry.Example:443", "10.0.0.5:5000"], ["plain.example:80", "plain.example:5000"]);
    for (const host of ["registry.example", "REGISTRY.EXAMPLE:0443", "10.0.0.5:5000", "0xa000005:5000"]) {
      expect([host, refusal(registries, `${host}/me/a:b`)]).toEqual([host, null]);
    }
    for (const host of ["plain.example", "plain.example:80", "PLAIN.example:5000"]) {
      expect([host, refusal(registries, `${host}/me/a:b`)]).toEqual([host, null]);
    }
    for (const host of ["registry.example:80", "10.0.0.5", "plain.example:443", "plain.example:8080"]) {
      expect([host, refusal(registries, `${host}/me/a:b`)?.code]).toEqual([host, "forbidden"]);
    }
    expect(refusal(registries, "phi4:latest")?.code).toBe("forbidden");
  });

  test("names what is allowed, up to a bound, and what the administrator can do", () => {
    const error = refusal(allowing(["registry.example"], ["10.0.0.5:5000"]), "evil.example/me/a:b");
    expect(error?.message).toBe(
      'Cannot pull "evil.example/me/a:b" on gpu-1: pulls are allowed there from registry.example, 10.0.0.5:5000 only',
    );
    expect(error?.hint).toBe("The administrator of that box can allow evil.example with --allow-registry");
    const many = Array.from({ length: 200 }, (_, index) => `r${index}.example`);
    expect(refusal(allowing(many), "evil.example/me/a:b")?.message).toEndWith(", r9.example and 190 more only");
  });

  test("allows every registry with *", () => {
    for (const host of ["evil.example", "127.0.0.1:1", "registry.example:5000"]) {
      expect(refusal(allowing(["*"]), `${host}/me/a:b`)).toBeNull();
    }
  });
});

describe("a redirect of the preflight, over TLS", () => {
  const target = servers.start(() => new Response(MANIFEST));

  /** Reads through a registry that redirects to `location`. @returns the code of the failure, or null */
  async function read(location: string, more: readonly string[] = []): Promise<string | null> {
    const registry = servers.start(() => new Response("", { status: 302, headers: { location } }));
    target.requests.length = 0;
    const registries = allowing([registry.host, ...more]);
    const reading = new Registry({ registries, timeoutMs: 2_000, fetch: servers.fetch }).readManifest(
      `${registry.host}/me/a:b`,
    );
    return await reading.then(
      () => null,
      (error: CourierError) => error.code,
    );
  }

  test("is followed to a registry that is allowed", async () => {
    expect(await read(`https://${target.host}/there`, [target.host])).toBeNull();
    expect(await read(`https://LOCALHOST:${target.byName.split(":")[1]}/there`, [target.byName])).toBeNull();
    expect(target.requests).toEqual(["/there"]);
  });

  test.each([
    ["another host", () => target.host, []],
    ["the other name of a host that is allowed", () => target.byName, () => [target.host]],
    ["a literal address on loopback, although every registry is allowed", () => target.host, ["*"]],
    ["localhost, although every registry is allowed", () => target.byName, ["*"]],
  ])("is not followed to %s", async (_what, host, more) => {
    expect(await read(`https://${host()}/there`, typeof more === "function" ? more() : more)).toBe("forbidden");
    expect(target.requests).toEqual([]);
  });

  test("is followed to a literal address that is itself named beside *", async () => {
    expect(await read(`https://${target.host}/there`, ["*", target.host])).toBeNull();
  });

  test("is followed three times, and not a fourth", async () => {
    let left = 3;
    const registry = servers.start((url) => {
      if (left-- === 0) return new Response(MANIFEST);
      return new Response("", { status: 307, headers: { location: `https://${url.host}/again` } });
    });
    const reader = new Registry({ registries: allowing([registry.host]), fetch: servers.fetch });
    expect((await reader.readManifest(`${registry.host}/me/a:b`)).totalBytes).toBe(9_000);
    left = 4;
    expect(await failure(reader.readManifest(`${registry.host}/me/a:b`))).toMatchObject({
      code: "unavailable",
      message: `${registry.host} redirects too often`,
    });
  });
});

describe("allowsRedirect() where every registry is allowed", () => {
  test.each([
    ["10.1.2.3", false],
    ["172.31.255.255", false],
    ["172.32.0.0", true],
    ["192.168.1.1:8443", false],
    ["169.254.169.254", false],
    ["100.64.0.1", false],
    ["127.1", false],
    ["0x7f000001", false],
    ["0x7f.1", false],
    ["2130706433", false],
    ["0177.0.0.1", false],
    ["127.0.0.1.", false],
    ["0.0.0.0", false],
    ["192.0.0.8", false],
    ["198.19.255.255", false],
    ["198.20.0.1", true],
    ["224.0.0.1", false],
    ["255.255.255.255", false],
    ["[::7f00:1]", false],
    ["[::ffff:0:7f00:1]", false],
    ["[2002:7f00:1::1]", false],
    ["[2001:0:7f00:1::]", false],
    ["[64:ff9b:1::a00:1]", false],
    ["[fec0::1]", false],
    ["[ff02::1]", false],
    ["[::1]", false],
    ["[::ffff:10.0.0.1]", false],
    ["[::ffff:8.8.8.8]", true],
    ["[fd00::1]", false],
    ["[fe80::1]", false],
    ["[64:ff9b::a00:1]", false],
    ["localhost.", false],
    ["x.localhost", false],
    ["8.8.8.8", true],
    ["[2001:db8::1]", true],
    ["cdn.example", true],
  ])("answers for %s: %p", (host, isAllowed) => {
    expect(allowing(["*"]).allowsRedirect(new URL(`https://${host}/`))).toBe(isAllowed);
  });
});
