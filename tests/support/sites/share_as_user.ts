// A process of an ordinary user on a share, for what root is never denied. Prints what it saw as one JSON line.
// argv: the share's root. Run by root it becomes nobody; run by anybody else it stays who it is.
import { systemClock } from "#src/base/clock.ts";
import { asCourierError } from "#src/base/errors.ts";
import { silentLog } from "#src/base/log.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Delivery } from "#src/transport.ts";
import { until } from "#tests/support/until.ts";

const NOBODY = 65_534;

async function failureOf(action: Promise<unknown>): Promise<object | null> {
  try {
    await action;
    return null;
  } catch (error) {
    const { code, message, hint } = asCourierError(error);
    return { code, message, hint };
  }
}

if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}
const [root = ""] = process.argv.slice(2);
const transport = openTransport(root, { create: "never", watch: "auto", clock: systemClock, log: silentLog });
const connected = await failureOf(transport.connect());
const deliveries: Delivery[] = [];
if (connected === null) {
  await transport.receive("shared", { deliver: (delivery) => void deliveries.push(delivery) });
  // One of them may not be read, and is refused after 5 s.
  await until(() => deliveries.length > 1);
}
const seen = {
  connected,
  description: transport.description,
  clockOffsetMs: transport.now() - Date.now(),
  deliveries,
  checks: await Array.fromAsync(transport.examine()),
  send: await failureOf(transport.send("shared", "list-9", "{}", { durable: false })),
  publishState: await failureOf(transport.publishState("gpu-9", "{}")),
  openReplies: await failureOf(
    transport.openReplies(
      { replyTo: "ctl-9" },
      () => true,
      () => true,
    ),
  ),
};
await transport.close();
process.stdout.write(`${JSON.stringify(seen)}\n`);
