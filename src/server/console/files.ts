// The files of the console's page, from the sources. In the binary this module has their contents instead: scripts/binaries.ts.
import { bundleConsole, type ConsoleFile } from "./bundle.ts";

export async function consoleFiles(): Promise<readonly ConsoleFile[]> {
  return await bundleConsole();
}
