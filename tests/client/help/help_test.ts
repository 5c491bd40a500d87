// gpuctl help: verbs, topics, unknown words, and terminals of any width.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ERROR_CODES } from "#src/base/errors.ts";
import { VERSION } from "#src/program/flags.ts";
import { ClientSite } from "#tests/support/sites/client_run.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

let site: ClientSite;
beforeEach(() => {
  site = new ClientSite();
});
afterEach(async () => {
  await site.close();
});

async function helpOf(...argv: string[]): Promise<string> {
  const { status, stdout, stderr } = await site.run(argv);
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

describe("help", () => {
  test("prints what --help prints, of the program, a verb, an alias, and a verb of a verb", async () => {
    expect(await helpOf("help")).toBe(await helpOf("--help"));
    expect(await helpOf("help", "pull")).toBe(await helpOf("pull", "--help"));
    expect(await helpOf("help", "delete")).toBe(await helpOf("rm", "--help"));
    expect(await helpOf("help", "roster", "sign")).toBe(await helpOf("roster", "sign", "--help"));
  });

  test.each([[["nosuch"]], [["roster", "nosuch"]]])("exits with 64 for %p, with the reason", async (words) => {
    const { status, stdout, stderr } = await site.run(["help", ...words]);
    expect([status, stdout]).toEqual([64, ""]);
    expect(stderr).toStartWith(`error: No verb or topic is called "${words.join(" ")}"\n  gpuctl help lists the verbs`);
  });

  test("lists the options of all verbs once, and in no help of a verb", async () => {
    const options = await helpOf("help", "options");
    for (const name of ["--share", "--agent", "--all", "--json", "--timeout", "--operator-keys"])
      expect(options.match(new RegExp(`^ +${name} `, "gm"))?.length).toBe(1);
    const verb = await helpOf("help", "rm");
    expect(verb.split("\n").length).toBeLessThan(25);
    expect(verb).not.toContain("--operator-keys");
  });

  test("exit-codes has the status and the name of every error", async () => {
    const lines = (await helpOf("help", "exit-codes")).replaceAll(/\n {4,}/g, " ").split("\n");
    for (const [code, { exit }] of Object.entries(ERROR_CODES))
      expect(lines.find((line) => line.trim().startsWith(`${exit} `))).toContain(code);
  });

  test("environment has each variable that counts, and not those that do not", async () => {
    const text = await helpOf("help", "environment");
    for (const name of ["SHARE", "AGENT", "TIMEOUT", "JSON", "SHARE_WATCH"])
      expect(text).toContain(`GPU_COURIER_${name} `);
    for (const name of ["ALL", "FORCE", "YES", "DRY_RUN", "PARTIALS", "ORPHANS", "REGISTRY"])
      expect(text).not.toMatch(new RegExp(`GPU_COURIER_${name}\\b`));
  });

  test("json names schemas that exist", async () => {
    await using server = await openServer();
    const { body } = await server.call("GET", "/openapi.json", { token: null });
    const ids = new Set(Object.keys(body.components.schemas));
    const names = (await helpOf("help", "json"))
      .split("\n")
      .slice(1)
      .flatMap((line) => line.match(/(?<= {2}|: |a )[A-Z]\w+/g) ?? []);
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !ids.has(name))).toEqual([]);
  });
});

describe("on a narrow terminal", () => {
  test.each([["--help"], ["help options"], ["help json"], ["pull --help"], ["roster sign --help"]])(
    "%p wraps at 40 columns, all but commands and long words",
    async (line) => {
      const { status, stdout } = await site.run(line.split(" "), { terminal: true, columns: 40 });
      expect(status).toBe(0);
      const text = stdout.split("\nExamples:")[0] ?? "";
      const wide = text.split("\n").filter((each) => each.length > 40);
      expect(wide.filter((each) => !each.startsWith("Usage:") && each.trim().includes(" "))).toEqual([]);
      expect(text.replaceAll(/\s+/g, "")).toBe(
        ((await helpOf(...line.split(" "))).split("\nExamples:")[0] ?? "").replaceAll(/\s+/g, ""),
      );
    },
  );
});

test.each(["-v", "-V", "--version", "version"])("%s prints the version", async (word) => {
  expect(await helpOf(word)).toBe(`${VERSION}\n`);
});
