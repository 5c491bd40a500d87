// docs/schema is what scripts/schema.ts makes of the zod schemas, and the golden samples fit it.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { sampleDocument, samplePaths } from "#tests/support/wire_samples.ts";
import { schemaFiles } from "../../scripts/schema.ts";

const FOLDER = join(import.meta.dir, "../../docs/schema");

/** The published schema, read back by zod: an independent way round to the same samples. */
function published(name: string): z.ZodType {
  return z.fromJSONSchema(JSON.parse(readFileSync(join(FOLDER, `${name}.json`), "utf8")));
}

test("schemaFiles() makes what is committed in docs/schema when nothing is out of date", () => {
  const committed = readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), "utf8")]);
  // Out of date: node scripts/bootstrap.mjs scripts/schema.ts
  expect(Object.fromEntries(committed)).toEqual(Object.fromEntries(schemaFiles()));
});

describe("docs/schema", () => {
  const readers: Record<string, string[]> = {
    command: [...samplePaths("v1", "command_"), ...samplePaths("v2", "command_")],
    response: [...samplePaths("v1", "response_"), ...samplePaths("v2", "response_")],
    state: samplePaths("v2", "state"),
  };
  for (const [name, paths] of Object.entries(readers)) {
    test.each(paths)(`${name}.json accepts %s`, (path) => {
      expect(published(name).safeParse(sampleDocument(path)).error).toBeUndefined();
    });
  }

  test("job.json accepts the jobs that a state document holds", () => {
    const { jobs } = z.object({ jobs: z.array(z.looseObject({})).min(1) }).parse(sampleDocument("v2/state.json"));
    for (const job of jobs) {
      expect(published("job").safeParse(job).error).toBeUndefined();
      expect(published("job").safeParse({ ...job, state: "paused" }).success).toBe(false);
    }
  });

  test.each([
    ["command", "v2/command_ping.json"],
    ["response", "v2/response_ping.json"],
    ["state", "v2/state.json"],
  ])("%s.json refuses %s when its version is not ours", (name, path) => {
    expect(published(name).safeParse({ ...sampleDocument(path), version: 3 }).success).toBe(false);
  });
});
