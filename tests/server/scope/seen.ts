// A response as its caller sees it.
import { expect } from "bun:test";
import { settle } from "#tests/support/clocks/manual_clock.ts";

export interface Seen {
  readonly status: number;
  readonly etag: string | null;
  readonly link: string | null;
  readonly text: string;
}

/** A response as its caller sees it, without what is random in each. Of a stream, what comes at once. */
export async function seen(response: Response): Promise<Seen> {
  const isStream = /event-stream|ndjson/.test(response.headers.get("content-type") ?? "");
  const text = isStream ? await firstOf(response) : await response.text();
  return {
    status: response.status,
    etag: response.headers.get("etag"),
    link: response.headers.get("link"),
    text: text
      // The ids that the tests gave have zeros there.
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-7(?!000)[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, "RANDOM")
      .replaceAll(/gpuc_ticket_[\w-]{43}/g, "TICKET")
      // The number counts the ends of all agents.
      .replaceAll(/^id: [0-9a-f]+-\d+$/gm, "id: PLACE"),
  };
}

async function firstOf(response: Response): Promise<string> {
  const reader = response.body?.getReader() ?? expect.unreachable();
  const decoder = new TextDecoder();
  for (let text = ""; ; ) {
    const next = await Promise.race([reader.read(), settle().then(settle)]);
    if (next === undefined || next.done) {
      await reader.cancel();
      return text;
    }
    text += decoder.decode(next.value);
  }
}
