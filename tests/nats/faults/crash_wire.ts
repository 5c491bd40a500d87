// The crash matrix on NATS: a nats-server of its own for each column.
import { KEYS } from "#src/transport/nats/layout.ts";
import { AGENT, REPLY_TO, type Wire } from "#tests/long/crashes/wire.ts";
import { DURABLE, NatsBed } from "#tests/support/nats/nats_bed.ts";

export async function openNatsWire(): Promise<Wire> {
  const bed = await NatsBed.start();
  const sender = await bed.open();
  await sender.openReplies(
    { replyTo: REPLY_TO },
    () => true,
    () => true,
  );
  /** Null for an entry that was removed, too. */
  const text = async (...at: Parameters<NatsBed["stored"]>): Promise<string | null> =>
    (await bed.stored(...at))?.text || null;
  return {
    agentArgs: ["--transport", bed.server.url],
    send: async (id, _version, command) => await sender.send({ agent: AGENT }, id, command, DURABLE),
    answer: async (id) => await text("responses", KEYS.response(REPLY_TO, AGENT, id)),
    isThere: async (id) => (await text("commands", KEYS.command(AGENT, id))) !== null,
    state: async () => JSON.parse((await text("states", KEYS.state(AGENT))) ?? "{}"),
    close: async () => await bed.close(),
  };
}
