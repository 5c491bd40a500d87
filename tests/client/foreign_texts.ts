// The properties of every text of a document that another program wrote, as gpuctl prints it: it moves no cursor and forges
// no line.
import { afterEach, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { visibleText } from "#src/base/format.ts";
import { ClientSite, jobOf, type Ran, type Surroundings } from "#tests/support/sites/client_run.ts";
import { sampleDocument } from "#tests/support/wire_samples.ts";

type Path = readonly (string | number)[];

/** What the operator would believe: it must never begin a line. */
const FORGED = "error: forged";
/** Line breaks and characters of every kind that a terminal obeys, in front of a line that could be ours. */
const evilText = fc
  .array(fc.constantFrom("\n", "\r", "\u001b[2J", "\u0007", "\u0085", "\u009b2J", "\u2028", "\u202e", "\u2066", "é"), {
    minLength: 1,
    maxLength: 6,
  })
  .map((parts) => `a${parts.join("")}\n${FORGED}`);

/** What redrawn lines need: cursor, screen of their own, back to the line's begin, up, home, erase to the end. */
const OWN_MOVES = /\p{Cc}\[(?:\?(?:25|1049)[hl]|\d*[AGH]|0?[JK])/gu;

let site: ClientSite;

/** The places of all texts in a document. */
function textsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value === "string") return [path];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => textsOf(each, [...path, key]));
}

function withText(document: object, path: Path, text: string): object {
  const copy = structuredClone(document);
  const place = path.slice(0, -1).reduce<Record<string | number, unknown>>((at, key) => Object(at[key]), Object(copy));
  place[path.at(-1) ?? ""] = text;
  return copy;
}

function expectHarmless({ stdout, stderr }: Ran, what: string): void {
  const printed = `${stdout}${stderr}`;
  expect([what, visibleText(printed) === printed]).toEqual([what, true]);
  expect([what, printed.split("\n").filter((line) => line.trimStart().startsWith(FORGED))]).toEqual([what, []]);
}

const STATES = ["v2/state.json", "v2/state_degraded.json", "v2/state_details.json", "v2/state_waiting.json"];
const VERBS = ["agents", "agents --wide", "list", "ps", "jobs", "show gemma3:12b", "pull phi4 --agent gpu-1", "doctor"];

/** How many texts are tried: for each sample of a state, in refusals, and in jobs. */
interface Runs {
  readonly states: number;
  readonly refusals: number;
  readonly jobs: number;
}

export function testForeignTexts(runs: Runs): void {
  beforeEach(() => {
    site = new ClientSite();
  });
  afterEach(async () => await site.close());
  testStates(runs);
  testRefusals(runs);
  testJobs(runs);
}

function testStates(runs: Runs): void {
  test.each(STATES)("every text of %s", async (sample) => {
    await site.agent("gpu-2");
    const agent = await site.agent("gpu-1", { answer: () => undefined });
    const document = { ...sampleDocument(sample), agent: "gpu-1" };
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...textsOf(document)), evilText, async (path, text) => {
        for (const verb of VERBS) {
          await agent.publishRaw(withText(document, path, text));
          expectHarmless(await ran(verb), `${path.join(".")} in ${verb}`);
        }
      }),
      { numRuns: runs.states },
    );
  });
}

function testRefusals(runs: Runs): void {
  test("every text of a refusal", async () => {
    const refusal = { success: false, code: "conflict", error: "It is busy", hint: "Try later" } as const;
    let answer: object = refusal;
    const agent = await site.agent("gpu-1", { answer: () => answer });
    const verbs = [
      "ping",
      "pull phi4",
      "rm phi4",
      "cp phi4 b",
      "load phi4",
      "stop phi4",
      "cancel phi4",
      "show phi4",
      "rm phi4 gemma3",
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("error", "hint"), evilText, async (key, text) => {
        answer = { ...refusal, [key]: text };
        for (const verb of verbs) {
          await agent.publish();
          expectHarmless(await ran(`${verb} --agent gpu-1`), `${key} in ${verb}`);
        }
      }),
      { numRuns: runs.refusals },
    );
  });
}

function testJobs(runs: Runs): void {
  test("every text of a job that gpuctl follows", async () => {
    let job = jobOf({});
    const agent = await site.agent("gpu-1", { answer: () => ({ job }) });
    const followed = fc.constantFrom("pull phi4 --agent gpu-1", "jobs", "jobs 6d157a40", "jobs --follow");
    await fc.assert(
      fc.asyncProperty(fc.constantFrom("note", "error", "waiting_for"), followed, evilText, async (key, verb, text) => {
        for (const state of ["queued", "running", "failed"] as const) {
          job = jobOf({ state, [key]: text });
          agent.jobs = [job];
          await agent.publish();
          for (const terminal of [false, true])
            expectHarmless(await ran(verb, { terminal }), `${key} of ${state} in ${verb}`);
        }
      }),
      { numRuns: runs.jobs },
    );
  });
}

/** Time passes, so that what is not answered ends; Ctrl-C ends what goes on. */
async function ran(line: string, surroundings: Surroundings = {}): Promise<Ran> {
  const run = site.start([...line.split(" "), "--timeout", "1"], surroundings);
  await site.clock.advance(2_000);
  run.stop();
  return { status: await run.status, stdout: run.stdout.text.replaceAll(OWN_MOVES, ""), stderr: run.stderr.text };
}
