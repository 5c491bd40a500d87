// `gpu-server webhooks ...`: sends a test event, and shows targets and deliveries, also while the server runs.
import { systemClock } from "../../base/clock.ts";
import { asCourierError, CourierError } from "../../base/errors.ts";
import { jsonText } from "../../base/invisible.ts";
import { openStore } from "../store/store.ts";
import { deliveriesText, targetsText } from "./delivery_text.ts";
import type { DeliveriesDocument } from "./documents.ts";
import { testEvent } from "./events.ts";
import { openPost, type Post } from "./http/post.ts";
import { signedHeaders } from "./http/signature.ts";
import { WebhookTables } from "./queue/tables.ts";
import { readDeliveries } from "./read_deliveries.ts";
import type { Target, WebhookSettings } from "./settings.ts";

type Print = (text: string) => void;

interface Shown {
  readonly limit: number;
  readonly json: boolean;
}

/** Of a target: the status of its response, or why it sent none. */
interface Tested {
  readonly target: string;
  readonly address: string;
  readonly status: number | null;
  readonly error: string | null;
}

/**
 * Sends one event to each target, which is in no queue: a failed one is not sent again.
 * @throws CourierError `invalid` without targets; `unavailable` when one does not take it
 */
export async function testWebhooks(
  settings: WebhookSettings | null,
  { json }: { readonly json: boolean },
  print: Print,
): Promise<void> {
  if (settings === null)
    throw new CourierError("invalid", "No --webhook is given", {
      hint: "Run it with the options of the service: see Webhooks in docs/operations.md",
    });
  const post = openPost(settings);
  const tested = await Promise.all(settings.targets.map(async (target) => await test(target, settings, post)));
  const lines = tested.map(
    ({ address, target, status, error }) => `${address}  ${target}  ${error ?? `took it: ${status}`}\n`,
  );
  print(json ? `${jsonText({ targets: tested })}\n` : lines.join(""));
  const failed = tested.filter(({ error }) => error !== null);
  if (failed.length > 0)
    throw new CourierError("unavailable", `${failed.length} of ${tested.length} webhooks did not take the test event`);
}

async function test({ id, url, address }: Target, { secrets }: WebhookSettings, post: Post): Promise<Tested> {
  const nowMs = systemClock.now();
  const event = testEvent(nowMs);
  const shown = { target: id, address };
  try {
    const request = { url, headers: signedHeaders(event, secrets, nowMs), body: event.body };
    const { status } = await post(request, new AbortController().signal);
    const isTaken = status >= 200 && status <= 299;
    return { ...shown, status, error: isTaken ? null : `answers ${status}, where 2xx is expected` };
  } catch (error) {
    const { message, hint } = asCourierError(error);
    return { ...shown, status: null, error: hint === undefined ? message : `${message}. ${hint}` };
  }
}

export function showWebhooks(stateDir: string, { json }: { readonly json: boolean }, print: Print): void {
  const { targets } = read(stateDir, 1);
  print(json ? `${jsonText({ targets })}\n` : targetsText(targets));
}

export function showDeliveries(stateDir: string, { limit, json }: Shown, print: Print): void {
  const document = read(stateDir, limit);
  print(json ? `${jsonText(document)}\n` : deliveriesText(document));
}

function read(stateDir: string, limit: number): DeliveriesDocument {
  const database = openStore(stateDir);
  try {
    return readDeliveries(new WebhookTables(database), {}, { limit }, systemClock.now());
  } finally {
    database.close();
  }
}
