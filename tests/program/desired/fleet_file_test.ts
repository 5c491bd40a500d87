// The file that names the models of a fleet: what it holds, and the line of each mistake.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { parseFleetFile } from "#src/program/desired/fleet_file.ts";

const DIGEST = "ac896e5b8b34";
const MODEL = "models:\n  - name: phi4\n    on: all\n";

function mistakeIn(text: string): CourierError {
  try {
    parseFleetFile(text, "f");
  } catch (error) {
    if (error instanceof CourierError) return error;
    throw error;
  }
  throw new Error("No mistake was found");
}

/** The mistake, its text, the message and the hint. */
const MISTAKES: readonly (readonly [string, string, string | RegExp, string | RegExp])[] = [
  ["an unknown key", `${MODEL}purge: true`, 'f:4: Unknown key "purge"', "Known keys: models, prune"],
  ["an unknown key of a model", `${MODEL}    host: a`, 'f:4: Unknown key "host"', "Known keys: name, on, digest"],
  ["a key that is there twice", `${MODEL}    on: gpu-1`, "f:4: This key is there twice", /Leave one/],
  [
    "a model that is there twice",
    `${MODEL}  - name: PHI4:latest\n    on: gpu-1`,
    "f:4: PHI4:latest is there twice, first in line 2",
    /one list/,
  ],
  ["models of a wrong type", "models: phi4", "f:1: models must be a list", /For example/],
  [
    "a model of a wrong type",
    "models:\n  - phi4",
    "f:2: An entry of models must have the keys name, on, digest",
    /For example/,
  ],
  ["a name of a wrong type", "models:\n  - on: all\n    name: 12", "f:3: name must be text", /in quotes/],
  ["no name", "models:\n  - on: all", "f:2: name is missing", /gpuctl list/],
  ["no boxes", "models:\n  - name: phi4", "f:2: on is missing", /label:key=value/],
  ["an empty list of boxes", "models:\n  - name: phi4\n    on: []", "f:3: on names no box", /label:key=value/],
  [
    "what is no name of a box",
    'models:\n  - name: phi4\n    on: ["gpu-1", "GPU 2"]',
    'f:3: "GPU 2" names no boxes',
    /label/,
  ],
  [
    "what is no name of a model",
    "models:\n  - on: all\n    name: a/b/c/d",
    'f:3: Cannot use "a/b/c/d" as a model name',
    /looks like/,
  ],
  ["a word in place of a digest", `${MODEL}    digest: latest`, "f:4: digest must have 12 to 64 hex digits", /ID/],
  ["a digest without quotes", `${MODEL}    digest: 123456789012`, "f:4: digest must be text", /in quotes/],
  ["prune of a wrong type", `${MODEL}prune: "yes"`, "f:4: prune must be true or false", ""],
  [
    "no models, with prune",
    "models: []\nprune: true",
    "f:1: models is empty, and prune would delete every model",
    /gpuctl rm/,
  ],
  ["an empty file", "", "f:1: The file must have the keys models, prune", /For example/],
  ["a pattern without quotes", "models:\n  - name: phi4\n    on: *gpu", /^f:3: /, /quotes/],
  ["an alias", "models:\n  - name: &a phi4\n    on: *a", "f:3: Aliases are not used here", /quotes/],
  ["what is no YAML", "models:\n  - name: phi4\n   on: all", /^f:[23]: /, /quotes/],
  ["two documents", `${MODEL}---\n${MODEL}`, /^f:4: /, /./],
  ["a tag", `${MODEL}prune: !!js/function true`, /^f:4: /, /./],
];

describe("parseFleetFile()", () => {
  test("reads names, boxes, digests and prune", () => {
    const text = [
      "# the fleet",
      "models:",
      "  - name: phi4",
      '    on: [gpu-1, "gpu-2*", "label:zone=a", "rack-[1-2]"]',
      "  - name: gemma3:12b",
      "    on: all",
      `    digest: "sha256:${DIGEST.toUpperCase()}"`,
      "prune: true",
    ].join("\n");
    expect(parseFleetFile(text, "fleet.yaml")).toEqual({
      models: [
        {
          name: "phi4:latest",
          on: [
            { kind: "name", name: "gpu-1" },
            { kind: "name", name: "gpu-2*" },
            { kind: "label", key: "zone", value: "a" },
            { kind: "name", name: "rack-1" },
            { kind: "name", name: "rack-2" },
          ],
          digest: null,
        },
        { name: "gemma3:12b", on: [{ kind: "all" }], digest: DIGEST },
      ],
      prune: true,
    });
  });

  test("takes an empty list without prune for a fleet of which nothing is asked", () => {
    expect(parseFleetFile("models: []", "f")).toEqual({ models: [], prune: false });
  });

  test.each([...MISTAKES])("names the line of %s", (_, text, message, hint) => {
    const error = mistakeIn(text);
    expect(error.code).toBe("invalid");
    expect(error.message).toMatch(message);
    expect(error.hint ?? "").toMatch(hint);
  });

  test("refuses another file with many keys at once", () => {
    const other = Array.from({ length: 40_000 }, (_, index) => `key-${index}: 1`).join("\n");
    const startedMs = performance.now();
    expect(mistakeIn(other).message).toMatch(/^f:1: Unknown key "key-0"/);
    expect(performance.now() - startedMs).toBeLessThan(8_000);
  });

  test("refuses a text of nested aliases at once", () => {
    const bomb = `a: &a [x, x]\n${Array.from({ length: 30 }, (_, index) => `${"b".repeat(index + 1)}: [*a, *a]`).join("\n")}`;
    const startedMs = performance.now();
    expect(mistakeIn(bomb).message).toMatch(/^f:1: Unknown key "a"/);
    expect(performance.now() - startedMs).toBeLessThan(500);
  });
});
