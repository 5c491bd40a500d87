// Publishes a state on a share again and again, without a pause: whatever becomes of it, it is in the midst of that.
// `publisher.ts SHARE` prints a line after its first publication.
import { systemClock } from "#src/base/clock.ts";
import { silentLog } from "#src/base/log.ts";
import { openTransport } from "#src/transport/open.ts";

const [root = ""] = process.argv.slice(2);
const transport = openTransport(root, { create: "always", watch: "auto", clock: systemClock, log: silentLog });
await transport.connect();
const text = JSON.stringify({ text: "x".repeat(3_000) });
await transport.publishState("gpu-1", text);
process.stdout.write(`${JSON.stringify({ published: true })}\n`);
for (;;) await transport.publishState("gpu-1", text);
