// Runs the simulated legacy backend as a process: one verb, and one JSON line on stdout for each result.
//
//   backend_main.ts SHARE list|alive [--repeat N] [--poll-ms N] [--timeout-ms N]
//   backend_main.ts SHARE pull|delete MODEL
import { parseArgs } from "node:util";
import { LegacyBackend } from "./backend.ts";

export async function main(argv: readonly string[]): Promise<number> {
  const { positionals, values } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      "poll-ms": { type: "string", default: "1000" },
      "timeout-ms": { type: "string", default: "30000" },
      repeat: { type: "string", default: "1" },
    },
  });
  const [share, verb, model = ""] = positionals;
  if (share === undefined) throw new Error("Cannot start the legacy backend: no share given");
  const backend = new LegacyBackend(share, {
    pollMs: Number(values["poll-ms"]),
    timeoutMs: Number(values["timeout-ms"]),
  });
  for (let turn = 0; turn < Number(values.repeat); turn++) {
    process.stdout.write(`${JSON.stringify(await run(backend, verb, model))}\n`);
  }
  return 0;
}

async function run(backend: LegacyBackend, verb: string | undefined, model: string): Promise<object> {
  if (verb === "list") return { event: "list", ...(await backend.listModels()) };
  if (verb === "alive") return { event: "alive", ...(await backend.isAlive()) };
  if (verb === "pull") return { event: "pull", sent: backend.pullModel(model) };
  if (verb === "delete") return { event: "delete", sent: backend.deleteModel(model) };
  throw new Error(`Cannot run "${verb ?? ""}": the legacy backend knows list, alive, pull and delete`);
}

if (import.meta.main) process.exit(await main(Bun.argv.slice(2)));
