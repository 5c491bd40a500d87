// Reads an agent's list of models page by page: a long list does not fit into one response.
import type { Model, Response } from "../protocol.ts";

/**
 * Every model of the list. A model that was there all the time is in the result once; the list may change meanwhile.
 * @param ask sends `list_models` with these arguments
 * @throws CourierError as `ask`
 */
export async function readModelPages(
  ask: (paging: { readonly arguments?: { readonly after: string } }) => Promise<Response>,
): Promise<readonly Model[]> {
  const all = new Map<string, Model>();
  for (let after: string | undefined; ; ) {
    const { models = [], truncated = [] } = await ask(after === undefined ? {} : { arguments: { after } });
    const known = all.size;
    for (const model of models) all.set(model.name, model);
    after = models.at(-1)?.name;
    // A page without a new model would be repeated forever.
    if (!truncated.includes("models") || after === undefined || all.size === known) return [...all.values()];
  }
}
