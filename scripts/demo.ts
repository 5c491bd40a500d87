// `npm start`: a share, a GPU box and a platform on this machine, and a tour through them. In a terminal all of it then stays
// up until Ctrl-C.
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "./binaries.ts";
import { Site } from "./demo/site.ts";
import { Stage } from "./demo/stage.ts";
import { tour } from "./demo/tour.ts";

const EXIT_INTERRUPTED = 130;
const REAL_OLLAMA = "--ollama http://127.0.0.1:11434";

function introduce(site: Site, stage: Stage): void {
  stage.heading("gpu-courier: models on a GPU box that only a shared folder reaches");
  stage.facts([
    ["share", `${site.share}  (a temp folder; in production a mount)`],
    ["gpu-agent", `${site.agent}, on the GPU box: it opens no port`],
    ["gpu-server", `${site.serverUrl}, on the platform`],
    ["Ollama", `${site.ollamaUrl}  (simulated: models have names and sizes, but no content)`],
    ["registry", "simulated: offers the models of gpu-server's catalog, and all-minilm, gemma3:270m and llama3.2:1b"],
  ]);
}

function invite(site: Site, stage: Stage): void {
  const { share, dir } = site;
  stage.say();
  stage.heading("All of it stays up until Ctrl-C, which removes it. Paste into another terminal:");
  stage.line(`gpuctl() { ${runs("client")} --share ${share} "$@"; }`);
  stage.line("gpuctl agents");
  stage.line("gpuctl pull phi4");
  stage.line(`export URL=${site.serverUrl} TOKEN=${site.token}`);
  stage.line('curl -H "Authorization: Bearer $TOKEN" $URL/v1/agents');
  stage.line(`cat ${share}/gpu_status/${site.agent}_status.json`);
  stage.say();
  stage.heading("What they log:");
  stage.line(`tail -F ${site.logFile("server")} ${site.logFile("agent")}`);
  stage.say();
  stage.heading("Another link that signs a browser in:");
  stage.line([runs("server"), ...site.signInLinkArgs.map(quoted)].join(" "));
  stage.say();
  stage.heading("A second box, with a real Ollama:");
  stage.line(`${runs("agent")} --share ${share} --name real ${REAL_OLLAMA} --state-dir ${dir}/real`);
}

/** A command that works in every folder. */
function runs(program: "agent" | "client" | "server"): string {
  return ["node", join(ROOT, "scripts/bootstrap.mjs"), join(ROOT, `src/${program}.ts`)].map(quoted).join(" ");
}

/** As a shell reads it. */
function quoted(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function conclude(stage: Stage): void {
  stage.say();
  stage.heading("All is stopped and removed; in a terminal it stays up. With a real Ollama and a folder of your own:");
  stage.command(`node scripts/bootstrap.mjs src/agent.ts --share DIR --init --name gpu-1 ${REAL_OLLAMA}`);
}

/** Aborts at a stop signal. Repeated signals count once: npm, the terminal and the shell may all send one. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => stopping.abort());
  return stopping.signal;
}

/** @returns the exit status */
async function demonstrate(stage: Stage, stopping: AbortSignal): Promise<number> {
  const stopped = once(stopping, "abort");
  const site = await Site.open(stopping);
  try {
    if (process.stdout.isTTY) stage.facts([["console", `${await site.signInLink()}  (once, within 5 minutes)`]]);
    introduce(site, stage);
    await Promise.race([tour(site, stage), stopped]);
    if (stopping.aborted) return EXIT_INTERRUPTED;
    if (!process.stdout.isTTY) return 0;
    invite(site, stage);
    await stopped;
    stage.say();
    stage.say(`Stopping, and removing ${site.dir}`);
    return 0;
  } finally {
    await site.close();
  }
}

const stage = new Stage();
const stopping = stopSignal();
try {
  process.exitCode = await demonstrate(stage, stopping);
  if (!process.stdout.isTTY && process.exitCode === 0) conclude(stage);
} catch (error) {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  // What ends with us in the middle of something is no failure.
  if (!stopping.aborted) process.stderr.write(`${message}${cause instanceof Error ? `\n  ${cause.message}` : ""}\n`);
  process.exitCode = stopping.aborted ? EXIT_INTERRUPTED : 1;
}
// The tour that was interrupted may still wait for something.
process.exit();
