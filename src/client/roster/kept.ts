// The roster that gpuctl keeps beside a person's keys.
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { asCourierError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { oneSpelling } from "../../transport/address.ts";
import type { Transport } from "../../transport.ts";
import { KeptRoster } from "../../trust/roster/kept_roster.ts";
import { operatorKeysFile } from "../../trust/roster/operator_keys.ts";
import { takeRoster } from "../../trust/roster/take_roster.ts";
import type { ClientIo } from "../io.ts";
import type { Printer } from "../output/printer.ts";

/**
 * @param share its address: each share has a roster of its own
 * @param operatorKeys the file with the operators' keys
 * @throws CourierError `unavailable` when the file cannot be used
 */
export function openRoster({ keyFile, clock }: ClientIo, share: string, operatorKeys: string): KeptRoster {
  const operators = operatorKeysFile(operatorKeys);
  if (operators.trouble !== null) throw operators.trouble;
  const name = createHash("sha256").update(oneSpelling(share)).digest("hex").slice(0, 16);
  const path = join(dirname(keyFile), "rosters", `${name}.json`);
  return new KeptRoster({ operators, path, clock, log: silentLog });
}

/** Takes the published roster over. One that is refused stops no verb: the kept one counts. */
export async function followRoster(
  transport: Pick<Transport, "readRoster">,
  roster: KeptRoster | null,
  printer: Pick<Printer, "note">,
): Promise<void> {
  if (roster === null) return;
  await takeRoster(transport, roster).catch((error: unknown) => {
    const { message, hint } = asCourierError(error);
    printer.note(message, hint);
  });
}
