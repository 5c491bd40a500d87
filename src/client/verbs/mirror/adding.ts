// The verb mirror add: fetches models from their registries into the mirror.
import { asCourierError, ERROR_CODES } from "../../../base/errors.ts";
import { formatBytes } from "../../../base/format.ts";
import { normalModelName } from "../../../base/model_name.ts";
import { ExitStatus } from "../../../program/exit.ts";
import { cannotFetch, type FetchChoices, fetchHere } from "../../pulls/mirror/local_fetch.ts";
import type { MirrorVerb } from "./verb.ts";

/** One after the other: each has its own result, and the exit status is that of the first that failed. */
export async function addToMirror(verb: MirrorVerb, models: readonly string[], choices: FetchChoices): Promise<void> {
  const { printer } = verb;
  let status = 0;
  for (const model of new Set(models.map(normalModelName))) {
    try {
      const { totalBytes, receivedBytes } = await fetchHere(verb, model, choices);
      if (printer.json)
        printer.documentLine({ model, bytes: receivedBytes, size: totalBytes, code: null, error: null });
      else
        printer.line(
          receivedBytes === 0 ? `${model} is in the mirror` : `${model}: fetched ${formatBytes(receivedBytes)}`,
        );
    } catch (error) {
      const failure = asCourierError(error);
      const { code, message } = failure;
      if (code === "cancelled" || code === "exhausted") throw error;
      if (printer.json) printer.documentLine({ model, bytes: null, size: null, code, error: message });
      else printer.error(cannotFetch(model, failure));
      status ||= ERROR_CODES[code].exit;
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}
