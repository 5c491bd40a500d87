// Bundles the console's page from src/console/: one script, one style sheet, one icon, each with its content's hash in its name.
import { join } from "node:path";

/** A file of the page, as it is served under /assets/. */
export interface ConsoleFile {
  readonly name: string;
  readonly text: string;
}

const SOURCES = join(import.meta.dir, "..", "..", "console");

/** @throws AggregateError when the sources do not build */
export async function bundleConsole(): Promise<readonly ConsoleFile[]> {
  const { outputs } = await Bun.build({
    entrypoints: [join(SOURCES, "main.tsx")],
    target: "browser",
    minify: true,
    // Otherwise the bundle has Preact's checks for developers.
    define: { "process.env.NODE_ENV": '"production"' },
    naming: "console-[hash].[ext]",
  });
  const bundled = outputs.map(async (output) => ({
    name: output.path.replace(/^.*\//, ""),
    text: await output.text(),
  }));
  const icon = await Bun.file(join(SOURCES, "icon.svg")).text();
  return [...(await Promise.all(bundled)), { name: `icon-${Bun.hash(icon).toString(36)}.svg`, text: icon }];
}
