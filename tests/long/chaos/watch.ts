// Shows the verdicts of a process that plays chaos runs, as they come.
import { z } from "zod";

const Verdict = z.object({
  line: z.string(),
  anomalies: z.array(z.object({ kind: z.string(), text: z.string() })),
  logs: z.string().nullable(),
});
type Verdict = z.infer<typeof Verdict>;

/**
 * Prints each verdict, and what `explain` adds to one with anomalies.
 * @returns the anomalies of all of them
 * @throws Error with what it wrote when the process does not play every seed
 */
export async function watchRuns(
  command: readonly string[],
  seeds: readonly number[],
  explain: (logs: string, seed: number) => string | Promise<string>,
): Promise<readonly string[]> {
  const child = Bun.spawn([...command, ...seeds.map(String)], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const stderr = child.stderr.text();
  const anomalies: string[] = [];
  let played = 0;
  for await (const line of lines(child.stdout)) {
    const { line: summary, anomalies: ofRun, logs }: Verdict = Verdict.parse(JSON.parse(line));
    const found = ofRun.map(({ kind, text }) => `${kind}: ${text}`);
    const more = logs === null ? [] : [await explain(logs, seeds[played] ?? Number.NaN)];
    process.stderr.write(`${[summary, ...found.map((text) => `  ${text}`), ...more].join("\n")}\n`);
    anomalies.push(...found);
    played += 1;
  }
  if ((await child.exited) !== 0 || played < seeds.length)
    throw new Error(`"${command.join(" ")}" cannot play: ${await stderr}`);
  return anomalies;
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
