// A gpu-agent whose clock is two hours ahead: what a test just wrote into its models folder is old to it. argv: that of gpu-agent.
import { main } from "#src/agent.ts";

const AHEAD_MS = 2 * 3_600_000;
const real = Date.now;
Date.now = () => real() + AHEAD_MS;

process.exit(await main(process.argv.slice(2)));
