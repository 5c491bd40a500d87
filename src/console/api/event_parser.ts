// Reads server-sent events from the pieces in which they arrive.
// Not EventSource: it hides the comments that show that a connection still lives, and cannot be given an id to begin with.

export interface ServerEvent {
  readonly event: string;
  /** JSON. */
  readonly data: string;
  readonly id: string | undefined;
}

export class EventParser {
  #rest = "";

  /** @returns the events that are complete now. A comment only shows that the connection lives */
  push(text: string): readonly ServerEvent[] {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(eventOf).filter((event) => event !== undefined);
  }
}

function eventOf(block: string): ServerEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
  }
  const data = fields.get("data");
  return data === undefined ? undefined : { event: fields.get("event") ?? "message", data, id: fields.get("id") };
}
