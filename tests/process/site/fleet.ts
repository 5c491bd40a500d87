// Several agents in one process, as many boxes as a machine for tests has room for. argv: a JSON array of gpu-agent's own argv.
import { main } from "#src/agent.ts";

const fleet: string[][] = JSON.parse(process.argv[2] ?? "[]");
// Each agent listens for the signals to end.
process.setMaxListeners(4 * fleet.length + 10);
const statuses = await Promise.all(fleet.map(async (argv) => await main(argv)));
process.exit(Math.max(0, ...statuses));
