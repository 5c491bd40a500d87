// A gpu-agent that signs nothing, to measure what signatures cost. The real one always has a key.
import { main } from "#src/agent.ts";

process.exit(await main(process.argv.slice(2), (parts) => ({ ...parts, key: null })));
