// The imports of src/: what each file may import is in tests/support/architecture/.
import { describe, expect, test } from "bun:test";
import { dirname } from "node:path";
import { ROWS } from "#tests/support/architecture/allowed_imports.ts";
import { ANYWHERE, PACKAGES } from "#tests/support/architecture/allowed_packages.ts";
import { cyclesOf } from "#tests/support/architecture/cycles.ts";
import { importsOf, offenders, readSources } from "#tests/support/architecture/sources.ts";

const sources = await readSources("src/**");
const modules = sources.filter(({ path }) => /\.tsx?$/.test(path));

function fits(pattern: string, path: string): boolean {
  return new Bun.Glob(pattern).match(path);
}

/** `node:fs/promises` is `node:fs`, `hono/body-limit` is `hono`. */
function packageOf(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

describe("who imports whom", () => {
  test("every file under src has a row, and every row has a file", () => {
    const unlisted = sources.filter(({ path }) => !ROWS.some(({ files }) => fits(files, path)));
    const stale = ROWS.filter(({ files }) => !sources.some(({ path }) => fits(files, path)));
    expect({ unlisted: unlisted.map(({ path }) => path), stale }).toEqual({ unlisted: [], stale: [] });
  });

  test("a file imports only what its row allows", () => {
    const faults = offenders(modules, (file) => {
      const row = ROWS.find(({ files }) => fits(files, file.path));
      const own = file.path.split("/").length > 2 ? `${dirname(file.path)}/*` : "";
      const may = [...(row?.may ?? []), ...(row?.files.includes("/*") === true ? [own] : [])];
      const local = importsOf(file).filter(({ isLocal }) => isLocal);
      return local.filter(({ target }) => !may.some((pattern) => fits(pattern, target))).map(({ target }) => target);
    });
    expect(faults).toEqual([]);
  });

  test("no file imports itself over others, not even for a type", () => {
    expect(cyclesOf(modules)).toEqual([]);
  });

  test("a package is imported only where it belongs", () => {
    const faults = offenders(modules, (file) => {
      const packages = importsOf(file)
        .filter(({ isLocal }) => !isLocal)
        .map(({ target }) => packageOf(target));
      return packages.filter(
        (name) => !ANYWHERE.includes(name) && !PACKAGES[name]?.some((pattern) => fits(pattern, file.path)),
      );
    });
    expect(faults).toEqual([]);
  });

  test("no entry point is imported by anything of src", () => {
    const faults = offenders(modules, (file) =>
      importsOf(file)
        .map(({ target }) => target)
        .filter((target) => fits("src/{agent,server,client}.ts", target)),
    );
    expect(faults).toEqual([]);
  });

  test("only the share driver names the folders of the share", () => {
    const faults = offenders(
      modules.filter(({ path }) => !path.startsWith("src/transport/share/")),
      ({ text }) => text.match(/["/]gpu_(?:commands|status)\b/g) ?? [],
    );
    expect(faults).toEqual([]);
  });
});
