// Which way the command line chooses, and what it takes for an address, a token and a certificate.
import { afterEach, describe, expect, test } from "bun:test";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseServer } from "#src/client/over_http/address.ts";
import { TlsServers } from "#tests/agent/pulls/tls_servers.ts";
import { AnsweringServer, GPU_1 } from "./answering.ts";

const CLIENT = join(import.meta.dir, "../../../src/client.ts");

const serve = async (tls?: { key: string; cert: string }): Promise<AnsweringServer> =>
  await AnsweringServer.open(() => Response.json({ agents: [GPU_1] }), tls);

afterEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith("GPU_COURIER_")) delete process.env[name];
});

describe("parseServer()", () => {
  test.each([
    ["https://gpu.example.org", "https://gpu.example.org"],
    ["https://example.org:8443/gpu/", "https://example.org:8443/gpu"],
    ["http://127.0.0.1:8001", "http://127.0.0.1:8001"],
    ["http://[::1]:8001", "http://[::1]:8001"],
    ["http://localhost:8001/", "http://localhost:8001"],
  ])("takes %s", (text, base) => {
    expect(parseServer(text, false).base).toBe(base);
  });

  test.each([
    ["gpu.example.org", "is not a gpu-server address"],
    ["ftp://gpu.example.org", "is not a gpu-server address"],
    ["https://user:secret@gpu.example.org", "must not contain a password"],
    ["https://gpu.example.org/?x=1", "must not have a query or fragment"],
    ["http://gpu.example.org", "would travel unencrypted to gpu.example.org"],
    ["http://127.0.0.1.example.org", "would travel unencrypted"],
    ["http://10.0.0.7:8001", "would travel unencrypted"],
  ])("refuses %s", (text, message) => {
    expect(() => parseServer(text, false)).toThrow(message);
  });

  test.each([
    ["127.0.0.1:47780", "Did you mean http://127.0.0.1:47780?"],
    ["localhost:8001/gpu", "Did you mean http://localhost:8001/gpu?"],
    ["gpu.example.org:8443", "Did you mean https://gpu.example.org:8443?"],
    ["user:secret@gpu.example.org", "For example: --server https://gpu.example.org"],
    ["no address", "For example: --server https://gpu.example.org"],
    ["ftp://gpu.example.org", "For example: --server https://gpu.example.org"],
  ])("suggests for %s the address that was probably meant", (text, hint) => {
    let found: unknown;
    try {
      parseServer(text, false);
    } catch (error) {
      found = error;
    }
    expect(found).toMatchObject({ code: "invalid", hint });
  });

  test("takes plain HTTP to another machine only if that was allowed", () => {
    expect(parseServer("http://10.0.0.7:8001", true).base).toBe("http://10.0.0.7:8001");
  });
});

describe("the token", () => {
  test("is that of the settings folder, unless --token-file names another", async () => {
    await using server = await serve();
    const other = join(server.dir, "other");
    await writeFile(other, "other_token");
    await chmod(other, 0o400);
    await server.run(["agents"]);
    await server.run(["agents", "--token-file", other]);
    process.env["GPU_COURIER_TOKEN_FILE"] = other;
    await server.run(["agents"]);
    expect(server.authorizations).toEqual(["Bearer gc_secret", "Bearer other_token", "Bearer other_token"]);
  });

  test.each([0o644, 0o640, 0o620, 0o604])("is refused, with the fix, while its file has mode %o", async (mode) => {
    await using server = await serve();
    await chmod(server.tokenFile, mode);
    const { status, stderr } = await server.run(["agents"]);
    expect([status, server.requests]).toEqual([77, []]);
    expect(stderr).toContain(`chmod 600 ${server.tokenFile}`);
  });

  test.each([
    ["two lines", "one\ntwo\n"],
    ["nothing", "\n"],
    ["more than a token can have", "x".repeat(20_000)],
  ])("is refused when its file holds %s", async (_, text) => {
    await using server = await serve();
    await writeFile(server.tokenFile, text);
    const { status, stderr } = await server.run(["agents"]);
    expect([status, server.requests]).toEqual([64, []]);
    expect(stderr).toContain("contains no token");
    expect(stderr).not.toContain("one");
  });

  test("is refused at once when its file is a FIFO or a folder", async () => {
    await using server = await serve();
    const fifo = join(server.dir, "fifo");
    expect(await Bun.spawn(["mkfifo", "-m", "600", fifo]).exited).toBe(0);
    for (const path of [fifo, server.dir]) {
      const argv = [process.execPath, CLIENT, "--server", server.url, "--token-file", path, "agents"];
      const child = Bun.spawn(argv, { env: {}, stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 10_000 });
      expect([await child.exited, await child.stderr.text()]).toEqual([64, `error: ${path} is not a regular file\n`]);
    }
    expect(server.requests).toEqual([]);
  });

  test("that others may read is named as such", async () => {
    await using server = await serve();
    await chmod(server.tokenFile, 0o644);
    const { stderr } = await server.run(["agents"]);
    expect(stderr).toContain(`${server.tokenFile} is accessible to other users (mode 0644)`);
  });

  test("that is missing is an error that shows how to get one", async () => {
    await using server = await serve();
    await rm(server.tokenFile);
    const { status, stderr } = await server.run(["agents"]);
    expect([status, stderr.split("\n")[0]]).toEqual([77, `error: There is no token in ${server.tokenFile}`]);
    expect(stderr).toContain("gpu-server token add");
  });
});

describe("--server and --share", () => {
  test("exclude each other on one line", async () => {
    await using server = await serve();
    const { status, stderr } = await server.run(["agents"], ["--server", server.url, "--share", "/mnt/shared"]);
    expect([status, stderr]).toEqual([64, "error: --server and --share exclude each other\n  Use one of them\n"]);
  });

  test("exclude each other in the environment, and the line chooses", async () => {
    await using server = await serve();
    process.env["GPU_COURIER_SHARE"] = "/mnt/shared";
    process.env["GPU_COURIER_SERVER"] = server.url;
    expect((await server.run(["agents"], [])).status).toBe(64);
    expect((await server.run(["agents"])).stdout).toContain("gpu-1");
    expect((await server.run(["agents"], ["--share", "/mnt/shared"])).stderr).toContain("No agent has published");
  });

  test("of the line wins over that of the environment", async () => {
    await using server = await serve();
    process.env["GPU_COURIER_SERVER"] = server.url;
    expect((await server.run(["agents"], [])).stdout).toContain("gpu-1");
    expect((await server.run(["agents"], ["--share", "/mnt/shared"])).stderr).toContain("No agent has published");
    delete process.env["GPU_COURIER_SERVER"];
    process.env["GPU_COURIER_SHARE"] = "/mnt/shared";
    expect((await server.run(["agents"])).stdout).toContain("gpu-1");
  });

  test("of the line wins over a transport of the environment, and the other way round", async () => {
    await using server = await serve();
    process.env["GPU_COURIER_TRANSPORT"] = "share:/mnt/shared";
    expect((await server.run(["agents"])).stdout).toContain("gpu-1");
    delete process.env["GPU_COURIER_TRANSPORT"];
    process.env["GPU_COURIER_SERVER"] = server.url;
    const typed = await server.run(["agents"], ["--transport", "share:/mnt/shared"]);
    expect(typed.stderr).toContain("No agent has published");
    process.env["GPU_COURIER_SHARE"] = "/mnt/elsewhere";
    expect((await server.run(["agents"], ["--transport", "share:/mnt/shared"])).stderr).toBe(typed.stderr);
  });

  test("and a transport exclude each other", async () => {
    await using server = await serve();
    const typed = await server.run(["agents", "--transport", "share:/mnt/shared"]);
    expect([typed.status, server.requests]).toEqual([64, []]);
    expect(typed.stderr).toContain("--server and --transport exclude each other");
    process.env["GPU_COURIER_SERVER"] = server.url;
    process.env["GPU_COURIER_TRANSPORT"] = "share:/mnt/shared";
    expect((await server.run(["agents"], [])).stderr).toContain("GPU_COURIER_SERVER and GPU_COURIER_TRANSPORT exclude");
  });

  test.each([
    ["--watch", "local", "the share"],
    ["--share-watch", "local", "the share"],
    ["--verify-agents", "all", "the share"],
    ["--operator-keys", "/etc/operators", "the share"],
    ["--nats-creds", "/etc/creds", "NATS"],
    ["--nats-ca", "/etc/ca", "NATS"],
    ["--nats-cert", "/etc/cert", "NATS"],
    ["--nats-key", "/etc/key", "NATS"],
    ["--nats-prefix", "site", "NATS"],
    ["--nats-replicas", "3", "NATS"],
  ])("--server refuses %s, which would have no effect", async (flag, value, about) => {
    await using server = await serve();
    const { status, stderr } = await server.run(["agents", flag, value]);
    expect([status, server.requests]).toEqual([64, []]);
    expect(stderr).toContain(`${flag} is about ${about}, and has no meaning with --server`);
  });

  test.each([
    [["outdated", "--allow-registry", "*"]],
    [["outdated", "--insecure-registry", "127.0.0.1:5000"]],
    [["update", "--all", "--allow-registry", "registry.example"]],
    [["update", "--all", "--insecure-registry", "127.0.0.1:5000"]],
    [["show", "phi4", "--registry", "--allow-registry", "*"]],
    [["show", "phi4", "--registry", "--insecure-registry", "127.0.0.1:5000"]],
  ])("--server refuses %s: it is gpu-server that asks the registries", async (argv) => {
    await using server = await serve();
    const { status, stderr } = await server.run(argv);
    expect([status, server.requests]).toEqual([64, []]);
    expect(stderr).toContain("is about registries, which gpu-server asks, and has no meaning with --server");
    expect(stderr).toContain("gpu-server has the same flag, on its machine");
  });

  test("the same flags from the environment are no mistake", async () => {
    await using server = await serve();
    process.env["GPU_COURIER_ALLOW_REGISTRY"] = "*";
    process.env["GPU_COURIER_VERIFY_AGENTS"] = "all";
    process.env["GPU_COURIER_NATS_PREFIX"] = "site";
    expect((await server.run(["agents"])).status).toBe(0);
  });

  test.each([
    ["--ca", "/etc/ca"],
    ["--token-file", "/etc/token"],
    ["--server-plain", ""],
  ])("the share refuses %s, which would have no effect", async (flag, value) => {
    await using server = await serve();
    const { status, stderr } = await server.run(
      ["agents", flag, ...(value === "" ? [] : [value])],
      ["--share", "/mnt/shared"],
    );
    expect(status).toBe(64);
    expect(stderr).toContain(`${flag} is about gpu-server, and has no meaning without --server`);
  });

  test("show takes the flags about registries only with --registry", async () => {
    await using server = await serve();
    const { status, stderr } = await server.run(["show", "phi4", "--allow-registry", "*"], ["--share", "/mnt/shared"]);
    expect(status).toBe(64);
    expect(stderr).toContain("No registry is asked without --registry");
  });

  test("a verb that needs the share itself says where to run it", async () => {
    await using server = await serve();
    for (const argv of [
      ["roster", "show"],
      ["roster", "draft"],
      ["roster", "publish", server.tokenFile],
    ]) {
      const { status, stderr } = await server.run(argv);
      expect([argv, status, stderr]).toEqual([argv, 64, expect.stringContaining("with --share instead of --server")]);
    }
    expect(server.requests).toEqual([]);
  });

  test("key and version work as before, and ask nobody", async () => {
    await using server = await serve();
    expect((await server.run(["key"])).stdout).toStartWith("ed25519 ");
    expect((await server.run(["version"])).status).toBe(0);
    expect(server.requests).toEqual([]);
  });
});

describe("https", () => {
  test("is trusted by the certificate that --ca names, and by no other", async () => {
    const { pem } = new TlsServers();
    await using server = await serve({ key: pem, cert: pem });
    const ca = join(server.dir, "ca.pem");
    await writeFile(ca, pem.slice(pem.indexOf("-----BEGIN CERTIFICATE-----")));
    expect((await server.run(["agents", "--ca", ca])).stdout).toContain("gpu-1");
    const refused = await server.run(["agents"]);
    expect([refused.status, server.requests.length]).toEqual([69, 1]);
    expect(refused.stderr).toContain("Cannot trust the certificate of gpu-server");
    expect(refused.stderr).toContain("--ca FILE");
    const other = await server.run(["agents", "--ca", server.tokenFile]);
    expect([other.status, other.stderr]).toEqual([64, expect.stringContaining("holds no certificate")]);
  });
});

describe("completion", () => {
  test("proposes what gpu-server shows, and nothing when it is away", async () => {
    await using server = await serve();
    const line = `gpuctl --server ${server.url} list --agent gp`;
    expect((await server.run(["__complete", line], [])).stdout).toContain("gpu-1\tonline");
    process.env["GPU_COURIER_SERVER"] = server.url;
    expect((await server.run(["__complete", "gpuctl list --agent gp"], [])).stdout).toContain("gpu-1\tonline");
    process.env["GPU_COURIER_SERVER"] = "http://127.0.0.1:1";
    expect(await server.run(["__complete", "gpuctl list --agent gp"], [])).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
  });
});
