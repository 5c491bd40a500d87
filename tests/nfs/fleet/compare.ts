// Runs beside gpu-server: asks it and a bare server that sends the same bytes for each list, in pairs, and prints the times.
// `compare.ts URL TOKEN ROUNDS PATH...`
import { BareServer } from "../../../scripts/bench/fleet/bare_server.ts";
import { Client } from "../../../scripts/bench/fleet/client.ts";
import { comparePairs, type Pair, type Probe, takePairs } from "../../../scripts/bench/fleet/comparison.ts";

/** At the beginning of each round the bare server gets the list as it is then. */
const ROUND = { pairs: 5, budgetMs: Number.POSITIVE_INFINITY };
/** Spreads the rounds over many looks of the server, and over the changes that they find. */
const PAUSE_MS = 50;

async function compare(client: Client, bare: BareServer, path: string, rounds: number) {
  let bytes = 0;
  const takeRound = async (): Promise<Pair[]> => {
    await Bun.sleep(PAUSE_MS);
    const answer = await client.fetch(path);
    bytes = answer.bytes.length;
    await bare.hold(path, answer);
    return await takePairs(timed(bare.client, path), timed(client, path), ROUND);
  };
  // The first rounds do not count: Bun compiles what runs often.
  for (let round = 0; round < 2; round++) await takeRound();
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) pairs.push(...(await takeRound()));
  return { path, bytes, pairs: pairs.length, p50: comparePairs(pairs, 0.5), p99: comparePairs(pairs, 0.99) };
}

function timed(client: Client, path: string): Probe {
  return async () => {
    const startedMs = performance.now();
    await client.fetch(path);
    return performance.now() - startedMs;
  };
}

if (import.meta.main) {
  const [url = "", token = "", rounds = "", ...paths] = process.argv.slice(2);
  const bare = await BareServer.open("/", token);
  const client = new Client(url, token);
  const lists = [];
  for (const path of paths) lists.push(await compare(client, bare, path, Number(rounds)));
  await bare.close();
  process.stdout.write(`${JSON.stringify({ lists })}\n`);
}
