// One agent's document, for a command that needs it once.
import type { Transport } from "../../transport.ts";

/**
 * @param transport not connected yet; closed afterwards
 * @returns null when the agent has no document, or none that can be read
 * @throws CourierError `unavailable`
 */
export async function seenState(transport: Transport, agent: string): Promise<string | null> {
  try {
    await transport.connect();
    const record = await transport.readState(agent);
    return record !== null && "text" in record.content ? record.content.text : null;
  } finally {
    await transport.close();
  }
}
