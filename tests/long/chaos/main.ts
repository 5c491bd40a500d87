// Plays chaos runs on one ground, in a mount namespace of its own, where it may mount. argv: the ground, then seeds. Prints the
// verdict on each as one JSON line.
import { GROUND_NAMES, makeGround } from "./grounds.ts";
import { play } from "./play.ts";

const [name, ...seeds] = process.argv.slice(2);
const ground = GROUND_NAMES.find((known) => known === name);
if (ground === undefined) throw new Error(`No ground "${name}": ${GROUND_NAMES.join(", ")}`);
for (const seed of seeds)
  process.stdout.write(
    `${JSON.stringify(await play((dir, mountPoint) => makeGround(ground, dir, mountPoint), Number(seed)))}\n`,
  );
process.exit(0);
