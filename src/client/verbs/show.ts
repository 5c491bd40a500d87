// The verb show: one model of one agent.

import { asCourierError, CourierError, type ErrorCode } from "../../base/errors.ts";
import { formatAgo, formatBytes } from "../../base/format.ts";
import { normalModelName, sameModel } from "../../base/model_name.ts";
import { namesText } from "../../base/order.ts";
import type { FleetModel } from "../../courier/fleet_model.ts";
import { modelsDocument, shownDocument } from "../../documents/models.ts";
import { type RegistryChoices, registryFlags } from "../../program/registry/flags.ts";
import type { ModelDetails } from "../../protocol.ts";
import { exitStatus } from "../asking/outcomes.ts";
import { examples, type Program } from "../base_command.ts";
import type { Run, Session } from "../session.ts";
import { showPublished } from "./desired/published.ts";

/** As Ollama: the first lines name the license. */
const LICENSE_LINES = 2;

export function addShowVerb(program: Program, run: Run): void {
  program
    .command("show")
    .summary("Show a model's details, capabilities and license.")
    .description(
      "Show a model's details, capabilities and license. Without --agent, gpuctl picks an online agent that has it.\n" +
        "--json prints everything that Ollama returns, including the template: a document per model.\n" +
        "With --registry: its sizes as its registry has it now, and an estimate of which boxes' GPUs it fits. gpu-server asks the " +
        "registry, or without --server this machine.",
    )
    .argument("<model...>", "as gpuctl list shows it, or with --registry as for a pull")
    .option("--registry", "show what its registry has, and which boxes it fits")
    .addOption(registryFlags.allowRegistry())
    .addOption(registryFlags.insecureRegistry())
    .addHelpText(
      "after",
      examples(
        "show phi4",
        "show phi4 llama3.2:1b --agent gpu-1",
        "show phi4 --json | jq -r .show.template",
        "show phi4 --registry",
      ),
    )
    .action(async (models, { registry = false, ...registries }, verb) => {
      const unused = (["allowRegistry", "insecureRegistry"] as const).find(
        (name) => !registry && verb.getOptionValueSource(name) === "cli",
      );
      if (unused !== undefined)
        throw new CourierError("invalid", "No registry is asked without --registry", { hint: "Add --registry" });
      const showOne = registry ? inRegistry(registries) : showModel;
      await run(async (session) => await showModels(session, models, showOne));
    });
}

type ShowOne = (session: Session, name: string) => Promise<number>;

function inRegistry(registries: RegistryChoices): ShowOne {
  return async (session, name) => await showPublished(session, name, registries);
}

async function showModels(session: Session, models: readonly string[], showOne: ShowOne): Promise<number> {
  const names = models.map((model) => normalModelName(model));
  if (names.length === 1) return await showOne(session, names[0] ?? "");
  const codes: (ErrorCode | null)[] = [];
  for (const name of names) {
    try {
      await showOne(session, name);
      codes.push(null);
    } catch (error) {
      session.printer.error(error);
      codes.push(asCourierError(error).code);
    }
  }
  return exitStatus(codes, session.io.signal);
}

async function showModel(session: Session, name: string): Promise<number> {
  const { courier, printer, io } = session;
  const agent = await chooseHolder(session, name);
  const { model: listed, show } = await courier.describeModel(agent, name, { signal: io.signal });
  const [document] = modelsDocument({ models: [listed], unavailable: [] }).models;
  if (printer.json && document !== undefined) printer.document(shownDocument(document, show));
  else printer.text(sections(listed, show, courier.now() - listed.clockOffsetMs));
  return 0;
}

/** The named agent, otherwise one that has the model: equal digests mean equal models. */
async function chooseHolder(session: Session, name: string): Promise<string> {
  const { courier, printer, agents } = session;
  if (agents !== undefined) {
    const views = await courier.choose(agents);
    const [only] = views;
    if (views.length === 1 && only !== undefined) return only.agent;
    throw new CourierError("invalid", "Cannot show the models of several agents at once", { hint: "Name one" });
  }
  const [first, ...others] = await courier.holders(name);
  if (first === undefined) {
    const views = (await courier.agents()).filter(({ online }) => online);
    // The only agent is asked in any case: a state may be 15 s behind Ollama, and a legacy service publishes no models.
    const [only] = views;
    if (views.length === 1 && only !== undefined) return only.agent;
    const online = views.map(({ agent }) => agent);
    return await askForHolder(session, online, name);
  }
  for (const { agent, digest } of others)
    if (digest !== first.digest) printer.note(`${agent} has another version: --agent ${agent} shows it`);
  return first.agent;
}

/** No published state shows the model, and the states may be behind. */
async function askForHolder({ courier, io }: Session, online: readonly string[], name: string): Promise<string> {
  const agents = online.length === 0 ? undefined : online;
  const { models, unavailable } = await courier.listModels(agents, { fresh: true, signal: io.signal });
  const holder = models.find((model) => sameModel(model.name, name))?.agents[0];
  if (holder !== undefined) return holder;
  if (unavailable.length === 0)
    throw new CourierError("not_found", `No online agent has the model "${name}"`, { hint: "See gpuctl list" });
  const [only, ...others] = unavailable;
  const silent =
    only !== undefined && others.length === 0
      ? `${only.agent}: ${only.reason}`
      : namesText(unavailable.map(({ agent }) => agent));
  throw new CourierError("unavailable", `No agent that answered has the model "${name}"; could not ask ${silent}`, {
    hint: "gpuctl agents shows why",
  });
}

function sections(listed: FleetModel, show: ModelDetails, nowMs: number): string {
  const { details = {}, capabilities = [], parameters = "", license = "", model_info: info = {} } = show;
  const architecture = text(info["general.architecture"]) || text(details["family"]);
  const own = (key: string): string => text(info[`${architecture}.${key}`]);
  const model = [
    ["name", listed.name],
    ["agent", listed.agents.join(", ")],
    ["architecture", architecture],
    ["parameters", text(details["parameter_size"])],
    ["context length", own("context_length")],
    ["embedding length", own("embedding_length")],
    ["quantization", text(details["quantization_level"])],
    ["remote model", listed.remote_model ?? ""],
    ["remote host", listed.remote_host ?? ""],
    ["size", listed.remote_host === undefined ? formatBytes(listed.size) : ""],
    ["digest", listed.digest],
    ["modified", formatAgo(listed.modified_at, nowMs)],
  ] as const;
  return [
    section("Model", rows(model)),
    section("Capabilities", capabilities),
    section("Parameters", rows(parameterPairs(parameters))),
    section("License", license.trim().split("\n").slice(0, LICENSE_LINES)),
  ].join("");
}

function section(title: string, lines: readonly string[]): string {
  const filled = lines.filter((line) => line.trim() !== "");
  return filled.length === 0 ? "" : `  ${title}\n${filled.map((line) => `    ${line.trimEnd()}\n`).join("")}\n`;
}

function rows(pairs: readonly (readonly [string, string])[]): string[] {
  const known = pairs.filter(([, value]) => value !== "");
  const width = Math.max(0, ...known.map(([name]) => name.length));
  return known.map(([name, value]) => `${name.padEnd(width)}    ${value}`);
}

/** Ollama gives them as lines of a name, blanks and a value. */
function parameterPairs(parameters: string): [string, string][] {
  return parameters.split("\n").map((line) => {
    const [, name = "", value = ""] = /^\s*(\S+)\s+(.*)$/.exec(line) ?? [];
    return [name, value];
  });
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
