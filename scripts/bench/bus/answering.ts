// A simulated agent that answers commands, with a connection of its own, over the driver that real agents have.
import { systemClock } from "#src/base/clock.ts";
import { parseJson } from "#src/base/foreign_text.ts";
import { silentLog } from "#src/base/log.ts";
import { CommandV2, PROTOCOL_VERSION } from "#src/protocol.ts";
import { openTransport } from "#src/transport/open.ts";
import type { Delivery, Transport } from "#src/transport.ts";

/** Answers each command of the agent with success, until the transport is closed. */
export async function answerAs(agent: string, url: string): Promise<Transport> {
  const options = { create: "never", watch: "auto", identity: agent, clock: systemClock, log: silentLog } as const;
  const transport = openTransport(url, options);
  await transport.connect();
  await transport.openInbox({ agent });
  const deliver = (delivery: Delivery): void => void answer(transport, agent, delivery).catch(fail);
  await transport.receive({ agent }, { deliver });
  return transport;
}

async function answer(transport: Transport, agent: string, delivery: Delivery): Promise<void> {
  const { content } = delivery;
  const { command_id, reply_to } = CommandV2.parse("text" in content ? parseJson(content.text) : undefined);
  const timestamp = new Date().toISOString();
  const response = { success: true, version: PROTOCOL_VERSION, timestamp, command_id, agent, message: "pong" };
  await transport.respond({ replyTo: reply_to }, command_id, JSON.stringify(response), { durable: true });
  await transport.release(delivery);
}

/** After a restart of the server a command is answered again by itself. */
function fail(error: unknown): void {
  process.stderr.write(`${JSON.stringify({ failed: String(error) })}\n`);
}
