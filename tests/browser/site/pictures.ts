// Pictures of pages for people who look at them: only where a folder is named.
import { join } from "node:path";
import type { Page } from "playwright-core";

/** The folder for the pictures; without it nothing is written. */
const FOLDER_VARIABLE = "GPU_COURIER_BROWSER_PICTURES";

export async function pictured(page: Page, name: string): Promise<void> {
  const folder = process.env[FOLDER_VARIABLE];
  if (folder === undefined || folder === "") return;
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
