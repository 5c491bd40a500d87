// Several agents in one process, since a test machine has no room for as many processes. argv: a JSON array of argument lists.
import { main } from "#src/agent.ts";

const fleet: string[][] = JSON.parse(process.argv[2] ?? "[]");
// Each agent listens for the stop signals.
process.setMaxListeners(4 * fleet.length + 10);
const statuses = await Promise.all(fleet.map(async (argv) => await main(argv)));
process.exit(Math.max(0, ...statuses));
