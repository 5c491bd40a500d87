// How tables cut the names of models.
import { expect, test } from "bun:test";
import { formatTable, MODEL_NAME, shortNames } from "#src/client/output/table.ts";

test.each([
  ["phi4:latest", 11, "phi4:latest"],
  ["phi4:latest", 8, "phi4"],
  ["qwen2.5-coder:32b-instruct-q4_K_M", 20, "qwen2.5-c…uct-q4_K_M"],
  ["127.0.0.1:47701/library/slow2:latest", 14, "…library/slow2"],
  ["127.0.0.1:47701/library/slow2:latest", 29, "127.0.0.1:47701/library/slow2"],
  ["hf.co/someone/a-long-name-of-a-model:Q4_K_M", 16, "a-long-…l:Q4_K_M"],
  ["phi4:latest", 2, "p…"],
])("%s in %i columns is %s", (name, width, shown) => {
  expect(shortNames([name], width)).toEqual([shown]);
});

test("shortNames() keeps the default tag of all names, or of none", () => {
  const names = ["phi4:latest", "nomic-embed-text:latest", "llama3.2:1b"];
  expect(shortNames(names, 23)).toEqual(names);
  expect(shortNames(names, 22)).toEqual(["phi4", "nomic-embed-text", "llama3.2:1b"]);
});

test("formatTable() leaves out the default tag of all models before anything else gives way", () => {
  const columns = [
    { title: "MODEL", ...MODEL_NAME, minimum: 14 },
    { title: "RESULT", flexible: true, cut: true },
    { title: "SIZE", leaveOut: 1 },
  ];
  const rows = [
    ["phi4:latest", "cannot be read", "9.1 GB"],
    ["nomic-embed-text:latest", "there", "274 MB"],
  ];
  const lines = (width: number): string[] => formatTable(columns, rows, width).trimEnd().split("\n");
  expect(lines(47)).toEqual([
    "MODEL                    RESULT          SIZE",
    "phi4:latest              cannot be read  9.1 GB",
    "nomic-embed-text:latest  there           274 MB",
  ]);
  expect(lines(46)).toEqual([
    "MODEL             RESULT          SIZE",
    "phi4              cannot be read  9.1 GB",
    "nomic-embed-text  there           274 MB",
  ]);
});

test("formatTable() keeps the default tag where it only costs room that a longer name needs anyway", () => {
  const columns = [{ title: "MODEL", ...MODEL_NAME, minimum: 8 }];
  const rows = [["qwen2.5-coder:32b-instruct-q4_K_M"], ["nomic-embed-text:latest"], ["phi4:latest"]];
  const names = (width: number): string[] => formatTable(columns, rows, width).trimEnd().split("\n").slice(1);
  expect(names(23)).toEqual(["qwen2.5-cod…ruct-q4_K_M", "nomic-embed-text:latest", "phi4:latest"]);
  expect(names(22)).toEqual(["qwen2.5-co…ruct-q4_K_M", "nomic-embed-text", "phi4"]);
});
