// Records again what the `ollama` CLI sends and what an Ollama responds, into tests/fixtures/ollama_cli.
//
//   OLLAMA_CLI=/usr/bin/ollama OLLAMA_TEST_URL=http://127.0.0.1:11434 node scripts/bootstrap.mjs tests/server/ollama/clients/record_cli.ts
//
// That Ollama loses its models.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Registry } from "#sim/registry/registry.ts";
import { COMMANDS, type Recording, recordingPath, runCli } from "./site/cli_commands.ts";
import { type Exchange, Forwarder } from "./site/forwarder.ts";
import { CLI_VARIABLE, CLI_VERSION } from "./site/packages.ts";
import { createSample, removeModels } from "./site/sample_model.ts";

/** The headers that a server may look at. */
const KEPT = ["accept", "content-type", "user-agent"];

async function record(cli: string, ollamaUrl: string): Promise<void> {
  await removeModels(ollamaUrl);
  await createSample(ollamaUrl, "sample");
  const registry = await Registry.start();
  registry.offer("small", { layers: [3_000_000, 400], bytesPerSecond: 4_000_000 });
  const forwarder = new Forwarder(ollamaUrl);
  const home = await mkdtemp(join(tmpdir(), "gpu-courier-cli-"));
  const prefix = `${registry.host}/library/`;
  const full = (arg: string): string => (/^(?:small|none)\b/.test(arg) ? prefix + arg : arg);
  try {
    for (const [name, command] of Object.entries(COMMANDS)) {
      await runCli(cli, forwarder.url, home, command.map(full));
      const exchanges = forwarder.exchanges.splice(0).map(trimmed);
      const recording: Recording = { ollama: CLI_VERSION, command: [...command], exchanges };
      const path = recordingPath(name);
      await mkdir(dirname(path), { recursive: true });
      const text = JSON.stringify(recording, null, 2).replaceAll(prefix, "");
      // Where that Ollama keeps its models.
      await writeFile(path, `${text.replaceAll(/FROM \/\S*?\/blobs\//g, "FROM /models/blobs/")}\n`);
    }
  } finally {
    await forwarder.close();
    await registry.stop();
    await rm(home, { recursive: true });
  }
}

function trimmed({ request, response }: Exchange): Recording["exchanges"][number] {
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) => KEPT.includes(name)));
  return { request: { ...request, headers }, response: { ...response, body: firstOfEach(response.body) } };
}

/** Of the progress lines of one layer the first; how many there are depends on the speed. */
function firstOfEach(body: string): string {
  const lines = body.split("\n");
  const layer = (line: string | undefined): string | undefined => /"digest":"([^"]+)"/.exec(line ?? "")?.[1];
  const isFirst = (line: string, index: number): boolean =>
    !line.includes('"status":"pulling ') || layer(line) === undefined || layer(line) !== layer(lines[index - 1]);
  return lines.filter(isFirst).join("\n");
}

const { [CLI_VARIABLE]: cli, OLLAMA_TEST_URL: ollamaUrl } = process.env;
if (!cli || !ollamaUrl) throw new Error(`Name a CLI in ${CLI_VARIABLE} and an Ollama in OLLAMA_TEST_URL`);
await record(cli, ollamaUrl);
