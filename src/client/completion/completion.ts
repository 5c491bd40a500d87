// The verbs completion and __complete: what can come next on a command line.

import { within } from "../../base/clock.ts";
import { formatBytes, visibleText } from "../../base/format.ts";
import { namesText } from "../../base/order.ts";
import type { AgentView } from "../../courier/agent_view.ts";
import { describeView } from "../../courier/describe_view.ts";
import { Fleet } from "../../courier/fleet.ts";
import { isListed } from "../../courier/selection.ts";
import { namedIn } from "../../program/desired/named_boxes.ts";
import { addressesOf, natsFlagsOf } from "../../program/transport_flags.ts";
import { isEnded, type Job } from "../../protocol.ts";
import { examples, type Program } from "../base_command.ts";
import { TOPICS } from "../help/topics.ts";
import type { ClientIo } from "../io.ts";
import { openEach, openSeveral } from "../on_share/several.ts";
import { jobPercent } from "../output/job_text.ts";
import { stateWord } from "../output/job_wait.ts";
import { openHttp } from "../over_http/open.ts";
import { wholeViews } from "../over_http/views/whole_views.ts";
import { serverOptions } from "../run/reach.ts";
import { flagsOf, type HalfLine, readLine, verbsOf } from "./line.ts";
import { COMPLETION_SCRIPTS, SHELLS } from "./scripts.ts";

/** A word that can come next, and what it is. */
interface Proposal {
  readonly word: string;
  readonly text: string;
}

type Live = (views: readonly AgentView[]) => Proposal[];

/** Anyone who pressed Tab waits: a share that answers later than this has nothing to propose. */
const TIMEOUT_MS = 1000;
/** Proposals that are safe on a command line without quotes: anyone with access to the share chooses its names. */
const HARMLESS = /^[\w@%+=:,./-]+$/;

/** Flags that say where the fleet is. */
const ATTRIBUTES = { share: "share", server: "server", "token-file": "tokenFile", ca: "ca" } as const;
const WHERE = ["share", "server", "token-file", "ca"] as const;

/** What a verb's first argument is. */
const OPERANDS: Readonly<Record<string, Live>> = {
  show: modelProposals,
  pull: modelProposals,
  rm: modelProposals,
  cp: modelProposals,
  load: modelProposals,
  stop: runningProposals,
  cancel: jobProposals,
  jobs: anyJobProposals,
  wait: jobProposals,
  trust: agentProposals,
  agents: agentProposals,
  ping: agentProposals,
  doctor: agentProposals,
  disk: agentProposals,
  prune: agentProposals,
  forget: awayProposals,
  ollama: (views) => [...OF_OLLAMA.map((word) => ({ word, text: "" })), ...modelProposals(views)],
};

/** What Ollama's own command line can do through gpu-server. */
const OF_OLLAMA = ["cp", "list", "ps", "pull", "rm", "show", "stop"] as const;

export function addCompletionVerbs(program: Program, io: ClientIo): void {
  program
    .command("completion")
    .summary("Print a shell completion script.")
    .description(
      "Print a script that completes gpuctl's command lines: verbs, flags, and the models, agents and jobs that " +
        "exist when Tab is pressed. Its output explains how to install it.",
    )
    .argument("<shell>", SHELLS.join(", "))
    .addHelpText("after", examples("completion bash > /etc/bash_completion.d/gpuctl", "completion fish | source"))
    .action((shell) => {
      const known = SHELLS.find((name) => name === shell);
      if (known === undefined) program.error(`error: no completion for ${shell}; use one of ${SHELLS.join(", ")}`);
      else io.stdout.write(COMPLETION_SCRIPTS[known]);
    });
  program
    .command("__complete", { hidden: true })
    .argument("<line>")
    .action(async (text) => {
      const line = readLine(program, text);
      const views = async (): Promise<readonly AgentView[]> => await readViews(program, io, line);
      const proposals = await propose(program, line, views);
      io.stdout.write(proposals.map((each) => `${each.word}\t${visibleText(each.text)}\n`).join(""));
    });
}

/** The words that can come next. */
async function propose(
  program: Program,
  line: HalfLine,
  views: () => Promise<readonly AgentView[]>,
): Promise<readonly Proposal[]> {
  const { current, flag, verb, operands } = line;
  // --flag=value is one word.
  const [, name, typed = ""] = /^(--[a-z-]+)=(.*)$/.exec(current) ?? [];
  const valued = flag ?? flagsOf(program, verb).find(({ long }) => long === name);
  const begun = name === undefined ? "" : `${name}=`;
  let proposals: readonly Proposal[] = [];
  if (valued?.long === "--agent")
    proposals = listed(agentProposals(await views()), name === undefined ? current : typed);
  else if (valued !== undefined) proposals = (valued.argChoices ?? []).map((word) => ({ word, text: "" }));
  else if (current.startsWith("-")) proposals = flagProposals(program, verb);
  else if (operands === 0) proposals = verbProposals(program);
  else if (verb?.name() === "help") proposals = operands === 1 ? helpProposals(program) : [];
  else if (verb === undefined) proposals = [];
  else if (line.values.has("--follow") || line.values.get("--watch") === "") proposals = [];
  else if (verb.name() === "completion") proposals = SHELLS.map((word) => ({ word, text: "" }));
  else if (operands === 1 || verb.registeredArguments[0]?.variadic === true)
    proposals = OPERANDS[verb.name()]?.(chosenViews(await views(), line.values.get("--agent"))) ?? [];
  return proposals
    .map(({ word, text }) => ({ word: `${begun}${word}`, text: text.replaceAll(/\s+/g, " ") }))
    .filter(({ word }) => word.startsWith(current) && HARMLESS.test(word))
    .toSorted((a, b) => (a.word < b.word ? -1 : 1));
}

/** What the states say, or nothing: never rejects, never takes long, leaves no trace on the share. */
async function readViews(program: Program, io: ClientIo, { values }: HalfLine): Promise<readonly AgentView[]> {
  const late = new AbortController();
  const read = async (): Promise<readonly AgentView[]> => {
    for (const name of WHERE) {
      const value = values.get(`--${name}`);
      if (value !== undefined) program.setOptionValueWithSource(ATTRIBUTES[name], value, "cli");
    }
    const server = serverOptions(program);
    if (server !== undefined) return await wholeViews(openHttp(io, server, late.signal), io.clock);
    const transports = await openEach(io, addressesOf(program), "auto", natsFlagsOf(program.opts()));
    const transport = openSeveral(transports, io.clock);
    await transport.connect();
    const views = await new Fleet(transport, io.clock).read();
    await transport.close();
    return views;
  };
  const views = await within(io.clock, TIMEOUT_MS, read(), []).catch(() => []);
  late.abort();
  return views;
}

function chosenViews(views: readonly AgentView[], agents: string | undefined): readonly AgentView[] {
  const names = namedIn((agents ?? "").replaceAll(/["'\\]/g, "")) ?? [];
  return views.filter(({ agent, state }) => state !== null && (names.length === 0 || isListed(agent, names)));
}

/** Several names in one word, separated by commas: only the last is completed. */
function listed(proposals: readonly Proposal[], typed: string): Proposal[] {
  const before = typed.slice(0, typed.lastIndexOf(",") + 1);
  const taken = before.split(",");
  return proposals
    .filter(({ word }) => !taken.includes(word))
    .map(({ word, text }) => ({ word: `${before}${word}`, text }));
}

function verbProposals(program: Program): Proposal[] {
  return verbsOf(program).map((verb) => ({ word: verb.name(), text: verb.summary() || verb.description() }));
}

function helpProposals(program: Program): Proposal[] {
  const topics = Object.entries(TOPICS).map(([word, { about }]) => ({ word, text: about }));
  return [...verbProposals(program).filter(({ word }) => word !== "help"), ...topics];
}

/** Only one that is away can be forgotten. */
function awayProposals(views: readonly AgentView[]): Proposal[] {
  return agentProposals(views.filter(({ online }) => !online));
}

function flagProposals(program: Program, verb: HalfLine["verb"]): Proposal[] {
  return flagsOf(program, verb).map(({ long, description }) => ({ word: long ?? "", text: description }));
}

function agentProposals(views: readonly AgentView[]): Proposal[] {
  return views.map((view) => ({ word: view.agent, text: describeView(view) }));
}

function modelProposals(views: readonly AgentView[]): Proposal[] {
  const models = views.flatMap(({ state }) => state?.models ?? []);
  return [...new Map(models.map(({ name, size }) => [name, { word: name, text: formatBytes(size) }])).values()];
}

function runningProposals(views: readonly AgentView[]): Proposal[] {
  const held = views.flatMap(({ agent, state }) => (state?.running ?? []).map(({ name }) => ({ name, agent })));
  return [...new Map(held.map(({ name, agent }) => [name, { word: name, text: `on ${agent}` }])).values()];
}

function jobProposals(views: readonly AgentView[]): Proposal[] {
  return proposalsOf(views.flatMap(({ state }) => state?.jobs ?? []).filter((job) => !isEnded(job)));
}

function anyJobProposals(views: readonly AgentView[]): Proposal[] {
  return proposalsOf(views.flatMap(({ state }) => state?.jobs ?? []));
}

/** By ids, which begin alike, and by models, which are easier to type. */
function proposalsOf(jobs: readonly Job[]): Proposal[] {
  const byModel = Map.groupBy(jobs, ({ model }) => model);
  return [
    ...[...byModel].map(([word, pulls]) => ({
      word,
      text: `on ${namesText([...new Set(pulls.map(({ agent }) => agent))])}`,
    })),
    ...jobs.map(idProposal),
  ];
}

function idProposal(job: Job): Proposal {
  const percent = jobPercent(job);
  const progress = percent === null || isEnded(job) ? "" : `, ${percent} %`;
  return { word: job.id ?? "", text: `${job.model} on ${job.agent}, ${stateWord(job)}${progress}` };
}
