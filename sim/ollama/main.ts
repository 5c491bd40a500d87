// The simulated Ollama as a process: prints `{"url": ...}` once it listens, ends on SIGTERM and SIGINT.
import { parseArgs } from "node:util";
import { DEFAULT_CATALOGUE } from "./catalog.ts";
import type { ModelSpec } from "./manifest.ts";
import { startSimulatedOllama } from "./ollama.ts";

const USAGE = `usage: bun sim/ollama/main.ts [--port N] [--version X.Y.Z] [--speed BYTES_PER_SECOND]
  [--models DIR]                          keeps its models there, and pulls from registries on 127.0.0.1
  [--model NAME=BYTES[,BYTES...]]...      can be pulled (default: a few with the sizes of real ones)
  [--installed NAME[=BYTES[,BYTES...]]]...  there from the start; without sizes: one of those that can be pulled
`;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    version: { type: "string", default: "0.32.15" },
    speed: { type: "string", default: "50000000" },
    models: { type: "string" },
    model: { type: "string", multiple: true, default: [] },
    installed: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", short: "h", default: false },
  },
});

if (values.help) {
  process.stdout.write(USAGE);
} else {
  const own = values.model.map((text) => parseModel(text));
  const catalog = own.length > 0 ? own : DEFAULT_CATALOGUE;
  const simulation = await startSimulatedOllama({
    port: Number(values.port),
    version: values.version,
    bytesPerSecond: Number(values.speed),
    catalog,
    ...(values.models === undefined ? {} : { modelsDir: values.models }),
    installed: values.installed.map((text) => catalog.find(({ name }) => name === text) ?? parseModel(text)),
  });
  const stop = (): void => void simulation.stop().then(() => process.exit(0));
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
  process.stdout.write(`${JSON.stringify({ url: simulation.url })}\n`);
}

function parseModel(text: string): ModelSpec {
  const [name = "", sizes = ""] = text.split("=");
  const layers = sizes.split(",").map(Number);
  if (layers.some((size) => !Number.isInteger(size) || size <= 0)) throw new Error(`No model: ${text}\n${USAGE}`);
  return { name, layers };
}
