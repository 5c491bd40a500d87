// Runs the simulated legacy service as a process until SIGTERM, with one JSON line on stdout for each event.
//
//   service_main.ts SHARE OLLAMA_URL [--poll-ms N] [--write-gap-ms N]
import { parseArgs } from "node:util";
import { LegacyService } from "./service.ts";

export async function main(argv: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      "poll-ms": { type: "string", default: "5000" },
      "write-gap-ms": { type: "string", default: "0" },
    },
  });
  const [share, ollamaUrl] = positionals;
  if (share === undefined || ollamaUrl === undefined) {
    throw new Error("Cannot start the legacy service: needs a share and Ollama's URL");
  }
  const print = (event: object): void => void process.stdout.write(`${JSON.stringify(event)}\n`);
  const terminated = new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  const service = new LegacyService(share, ollamaUrl, {
    pollMs: Number(values["poll-ms"]),
    writeGapMs: Number(values["write-gap-ms"]),
    onEvent: print,
  });
  service.start();
  print({ event: "started" });
  await terminated;
  await service.stop();
  print({ event: "stopped" });
  return 0;
}

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
