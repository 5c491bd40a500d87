// docs/protocol.md agrees with src/protocol.ts and src/base/errors.ts: limits, names, verbs, fields, codes, sections.
import { expect, test } from "bun:test";
import { z } from "zod";
import { ERROR_CODES } from "#src/base/errors.ts";
import { BriefDetails } from "#src/protocol/brief_details.ts";
import {
  AgentName,
  AgentStatus,
  Code,
  CommandId,
  CommandV2,
  Disk,
  Gpu,
  Job,
  JobState,
  LEGACY_SERVICE_AGENT,
  LIMITS,
  Memory,
  Model,
  ModelDetails,
  OllamaHealth,
  Platform,
  PROTOCOL_VERSION,
  Response,
  RunningModel,
  State,
  VERBS,
  Verb,
} from "#src/protocol.ts";
import { RosterDocument } from "#src/trust/roster/document.ts";
import { readSources } from "#tests/support/architecture/sources.ts";
import { MemorySite } from "#tests/support/sites/agent_on_memory.ts";
import { firstCode, readDocuments } from "./markdown.ts";

const documents = await readDocuments();
const protocol = documents.find(({ path }) => path === "docs/protocol.md");
if (protocol === undefined) throw new Error("docs/protocol.md is not there");

function section(heading: string) {
  return protocol?.section(heading) ?? expect.unreachable();
}

/** The rows of a section by the code span that each begins with. */
function rowsOf(heading: string): Record<string, readonly string[]> {
  const rows = section(heading).rows.filter(([cell]) => firstCode(cell) !== "");
  return Object.fromEntries(rows.map((cells) => [firstCode(cells[0]), cells.slice(1)]));
}

/** A limit as the document writes it. */
function formatLimit(name: string, value: number): string {
  if (name.endsWith("Bytes")) return value >= 1024 * 1024 ? `${value / 1024 / 1024} MiB` : `${value / 1024} KiB`;
  if (!name.endsWith("Ms")) return String(value);
  return value >= 3_600_000 ? `${value / 3_600_000} h` : `${value / 1000} s`;
}

test("Limits names every limit with its value", () => {
  const documented = Object.entries(rowsOf("Limits")).map(([name, [value]]) => [name, value]);
  expect(documented).toEqual(Object.entries(LIMITS).map(([name, value]) => [name, formatLimit(name, value)]));
});

test("Names gives the grammars and the reserved name", () => {
  const grammars = [AgentName, CommandId].map((name) => z.toJSONSchema(name).pattern?.replace(/^\^(.*)\$$/, "$1"));
  expect(section("Names").codeSpans).toEqual(expect.arrayContaining([...grammars, LEGACY_SERVICE_AGENT]));
});

test("Verbs has every verb as VERBS has it", () => {
  const documented = Object.entries(rowsOf("Verbs")).map(([verb, [kind, version, model]]) => [
    verb,
    kind,
    version,
    model,
  ]);
  const real = Object.entries(VERBS).map(([verb, { changing, version, model }]) => {
    return [verb, changing ? "changing" : "reading", String(version), model ? "yes" : "no"];
  });
  expect(documented).toEqual(real);
});

test("Verbs calls unimplemented what an agent answers so", async () => {
  const site = new MemorySite();
  try {
    await site.listen({ replyTo: "tester" });
    await site.start("gpu-1");
    for (const verb of Verb.options) await site.command("gpu-1", verb, { command: verb, model_name: "phi4" });
  } finally {
    await site.close();
  }
  const answered = Verb.options.filter((verb) => site.replies.get(verb)?.code === "unimplemented");
  const documented = Object.entries(rowsOf("Verbs")).filter(([, cells]) => cells.at(-1)?.includes("`unimplemented`"));
  expect(site.replies.size).toBe(Verb.options.length);
  expect(documented.map(([verb]) => verb)).toEqual(answered);
});

test("Errors has every code with what follows from it", () => {
  const documented = Object.entries(rowsOf("Errors")).map(([code, [, retry, http, exit]]) => [code, retry, http, exit]);
  const real = Object.entries(ERROR_CODES).map(([code, { retry, http, exit }]) => [code, retry, `${http}`, `${exit}`]);
  expect(documented).toEqual(real);
  expect(Object.keys(rowsOf("Errors"))).toEqual(Code.options);
});

test.each([
  ["Command", CommandV2],
  ["Response", Response],
  ["Response", Model],
  ["Response", ModelDetails],
  ["State", State],
  ["State", RunningModel],
  ["State", OllamaHealth],
  ["State", Disk],
  ["State", Gpu],
  ["State", Memory],
  ["State", Platform],
  ["Details of a model", BriefDetails],
  ["Jobs", Job],
  ["Roster", RosterDocument],
] as const)("%s names every field of its schema", (heading, { shape }) => {
  const named = section(heading).codeSpans;
  expect(Object.keys(shape).filter((field) => !named.includes(field))).toEqual([]);
});

test("State names every status, Jobs every state of a job, in order", () => {
  const statuses = (rowsOf("State")["status"] ?? []).join().match(/(?<=`)\w+(?=`)/g);
  const states = section("Jobs")
    .codeSpans[0]?.match(/\w+/g)
    ?.filter((word) => word !== "or");
  expect<readonly string[] | null | undefined>(statuses).toEqual(AgentStatus.options);
  expect<readonly string[] | undefined>(states).toEqual(JobState.options);
});

test("Versions has a row for each version", () => {
  const versions = section("Versions").rows.map(([version]) => version);
  expect(versions).toEqual(Array.from({ length: PROTOCOL_VERSION }, (_, index) => String(index + 1)));
});

test("every section that a comment points to is there", async () => {
  const pointers = (await readSources("{src,tests,scripts}/**/*.ts")).flatMap(({ path, text }) =>
    [...text.matchAll(/@see (docs\/[\w/.-]+), ([^\n*]+)/g)].map(([, file, heading = ""]) => ({ path, file, heading })),
  );
  const dangling = pointers.filter(({ file, heading }) => {
    const target = documents.find((document) => document.path === file);
    return !target?.headings.includes(heading.trim());
  });
  expect(pointers.length).toBeGreaterThan(0);
  expect(dangling).toEqual([]);
});
