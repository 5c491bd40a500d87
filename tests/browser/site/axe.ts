// What axe finds in a page: faults that keep people with a screen reader or a keyboard out.
import axe from "axe-core";
import type { Page } from "playwright-core";

/** Empty: nothing. */
export async function violationsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const found: unknown = await page.evaluate(`axe.run().then(({ violations }) => violations.map(({ id, nodes }) =>
    id + ": " + nodes.map(({ html, failureSummary }) => html + " " + failureSummary).join(" | ")))`);
  return Array.isArray(found) ? found.map(String) : [String(found)];
}
