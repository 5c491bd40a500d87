// A registry with one model of so many bytes: `registry.ts BYTES`. Prints its name, and at SIGTERM how much of it was sent.
import { Registry } from "#sim/registry/registry.ts";

const [bytes = ""] = process.argv.slice(2);
const registry = await Registry.start();
const model = registry.offer("mirrored", { layers: [Number(bytes), 11_000] });
process.stderr.write(
  `${JSON.stringify({ host: registry.host, model, digest: registry.manifestDigest("mirrored") })}\n`,
);
process.once("SIGTERM", () => {
  process.stderr.write(`${JSON.stringify({ served: registry.served("mirrored").bytes })}\n`);
  process.exit(0);
});
