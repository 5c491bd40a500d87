// gpuctl as a process with a proxy in its environment: over plain HTTP the proxy gets neither a request nor the token.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { AnsweringServer, GPU_1 } from "./answering.ts";

const CLIENT = join(import.meta.dir, "../../../src/client.ts");

test("the token goes to gpu-server itself, whatever proxy the environment names", async () => {
  await using proxy = await AnsweringServer.open(() => Response.json({ agents: [] }));
  await using server = await AnsweringServer.open(() => Response.json({ agents: [GPU_1] }));
  const argv = [process.execPath, CLIENT, "--server", server.url, "--token-file", server.tokenFile, "agents"];
  const env = { http_proxy: proxy.url, HTTP_PROXY: proxy.url };
  const child = Bun.spawn(argv, { env, cwd: server.dir, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect([await child.exited, stderr, stdout.includes("gpu-1")]).toEqual([0, "", true]);
  expect([proxy.authorizations, server.authorizations]).toEqual([[], ["Bearer gc_secret"]]);
});
