// The verbs under mirror: models on the share, which the boxes pull instead of downloading each of them.
import { type Command, Option } from "@commander-js/extra-typings";
import { CourierError } from "../../../base/errors.ts";
import { isPattern } from "../../../base/glob.ts";
import { parse } from "../../../program/flags.ts";
import { registryFlags } from "../../../program/registry/flags.ts";
import { examples, type Program } from "../../base_command.ts";
import type { ClientIo } from "../../io.ts";
import type { Printer } from "../../output/printer.ts";
import { openMirror } from "../../pulls/mirror/open.ts";
import { serverOptions } from "../../run/reach.ts";
import { connected, type Run } from "../../session.ts";
import { addToMirror } from "./adding.ts";
import { collectMirror, importIntoMirror, removeFromMirror } from "./changing.ts";
import { printMirror } from "./list.ts";
import { addByOther, cancelFetches, collectOnServer, listFetches, removeOnServer } from "./on_server.ts";
import { signInMirror } from "./signing.ts";
import type { MirrorVerb } from "./verb.ts";
import { verifyMirror } from "./verifying.ts";

const ABOUT =
  "Keep models on the share, in gpu_models: a model is brought there once, and every box pulls it from there.\n\n" +
  "Boxes use the mirror as their --mirror says. On a share, these verbs work on its folder; with --server they ask gpu-server, " +
  "which needs --mirror. import, sign and verify need the share.";

const REGISTRY_FLAGS = [
  ["allowRegistry", "--allow-registry"],
  ["insecureRegistry", "--insecure-registry"],
] as const;

interface Parts {
  readonly io: ClientIo;
  readonly openPrinter: () => Printer;
  /** Without a connection. */
  readonly run: Run;
}

/** How the verbs reach the mirror. */
interface Ways {
  readonly run: Run;
  readonly isOnServer: () => boolean;
  /** That is to fetch. */
  readonly namedAgent: () => string | undefined;
  /** On the share. */
  readonly open: () => MirrorVerb;
}

export function addMirrorVerbs(program: Program, { io, openPrinter, run }: Parts): void {
  const open = (): MirrorVerb => ({ mirror: openMirror(program), io, printer: openPrinter() });
  const isOnServer = (): boolean => serverOptions(program) !== undefined;
  const ways: Ways = { run, isOnServer, namedAgent: () => typedAgent(program), open };
  const mirror = program
    .command("mirror")
    .summary("Keep models on the share, from where every box pulls them.")
    .description(ABOUT);
  mirror
    .command("list")
    .alias("ls")
    .description("List the models of the mirror, with their sizes and the agents that have them.")
    .addHelpText("after", examples("mirror list", "mirror list --json"))
    .action(async () => await run(async (session) => await printMirror(session, () => openMirror(program))));
  addAdd(mirror, ways);
  addFetches(mirror, ways);
  mirror
    .command("import")
    .description(
      "Copy models into the mirror from a models folder of Ollama, such as one on a disk. Every blob is verified.",
    )
    .argument("<dir>", "the folder that has manifests/ and blobs/")
    .argument("[model...]", "models to copy (default: all)")
    .addHelpText("after", examples("mirror import ~/.ollama/models", "mirror import /media/disk/models phi4 qwen3:8b"))
    .action(async (dir, models) => await importIntoMirror(open(), dir, models));
  addRemoving(mirror, ways);
  addSign(mirror, open);
  addVerify(mirror, open);
}

function addRemoving(mirror: Command, { run, isOnServer, open }: Ways): void {
  mirror
    .command("rm")
    .description("Remove models from the mirror, with the blobs that no other model has. The boxes keep theirs.")
    .argument("<model...>", "as gpuctl mirror list shows it")
    .addHelpText("after", examples("mirror rm phi4"))
    .action(async (models) => {
      if (isOnServer()) await run(async (session) => await removeOnServer(session, models));
      else await removeFromMirror(open(), models);
    });
  mirror
    .command("gc")
    .description("Remove blobs that no model has, older than an hour, and unfinished files, older than 7 days.")
    .addHelpText("after", examples("mirror gc"))
    .action(async () => {
      if (isOnServer()) await run(collectOnServer);
      else await collectMirror(open());
    });
}

function addFetches(mirror: Command, { run }: Ways): void {
  mirror
    .command("fetches")
    .description(
      "List the fetches of agents, and with --server also of gpu-server, the newest first, with their progress.",
    )
    .addHelpText("after", examples("mirror fetches", "mirror fetches --json"))
    .action(async () => await run(connected(listFetches)));
  mirror
    .command("cancel")
    .description("Cancel fetches of agents or of gpu-server. What they fetched is kept for the next time.")
    .argument("<fetch...>", "its id, as gpuctl mirror fetches shows it")
    .addHelpText("after", examples("mirror cancel 019ac8d2-3f5e-7c11-9a40-2b7f6d1e8c05"))
    .action(async (ids) => await run(connected(async (session) => await cancelFetches(session, ids))));
}

function addSign(mirror: Command, open: () => MirrorVerb): void {
  mirror
    .command("sign")
    .description(
      "Sign models of the mirror with your key, for boxes that require signatures (gpuctl key prints its public part).",
    )
    .argument("<model...>", "as gpuctl mirror list shows it")
    .addHelpText("after", examples("mirror sign phi4"))
    .action(async (models) => await signInMirror(open(), models));
}

function addVerify(mirror: Command, open: () => MirrorVerb): void {
  mirror
    .command("verify")
    .description(
      "Read the blobs of models whole, and name those that are damaged or missing. Exits with 1 if there are any.",
    )
    .argument("[model...]", "as gpuctl mirror list shows it (default: all)")
    .option("--remove-damaged", "remove damaged blobs; mirror add or import then copies only these again")
    .addHelpText("after", examples("mirror verify", "mirror verify phi4 --remove-damaged"))
    .action(async (models, choices) => await verifyMirror(open(), models, choices));
}

function addAdd(mirror: Command, { run, isOnServer, namedAgent, open }: Ways): void {
  mirror
    .command("add")
    .description(
      "Fetch models from their registries into the mirror: from this machine, with --server from that of gpu-server, or with --agent " +
        "from a box whose agent has --mirror-source. " +
        "Every blob is verified. A fetch that was stopped or failed continues where it was.",
    )
    .argument("<model...>", "models to fetch")
    .addOption(new Option("--fetch-rate <rate>", "fetch no faster than this, such as 50MB/s").argParser(parse.rate))
    .addOption(
      registryFlags.allowRegistry(
        "a registry to fetch from, also a host inside the network that it keeps its blobs on, or * for any; repeatable (default: *)",
      ),
    )
    .addOption(registryFlags.insecureRegistry("a registry without TLS that may be used too; repeatable"))
    .option("-d, --detach", "with --server or --agent: print the fetches, and end")
    .addHelpText(
      "after",
      examples("mirror add phi4 qwen3:8b", "mirror add phi4 --fetch-rate 50MB/s", "mirror add phi4 --agent gpu-1"),
    )
    .action(async (models, { detach = false, ...choices }, verb) => {
      const agent = namedAgent();
      if (agent === undefined && !isOnServer()) {
        if (detach) throw elsewhere("--detach", "gpuctl itself fetches: with --server or --agent, somebody else does");
        return await addToMirror(open(), models, choices);
      }
      const hint = "gpu-server and gpu-agent have the same flag, on their machines";
      if (choices.fetchRate !== undefined) throw elsewhere("--fetch-rate", hint);
      for (const [name, long] of REGISTRY_FLAGS)
        if (verb.getOptionValueSource(name) === "cli") throw elsewhere(long, hint);
      await run(connected(async (session) => await addByOther(session, models, { agent, detach })));
    });
}

/** One that is typed: the environment names it for pulls. @throws CourierError `invalid` for several */
function typedAgent(program: Program): string | undefined {
  const source = (name: "agent" | "all") => program.getOptionValueSource(name);
  if (source("agent") !== "cli" && source("all") !== "cli") return undefined;
  const [agent, ...others] = program.opts().agent ?? [];
  if (agent !== undefined && others.length === 0 && source("all") !== "cli" && !isPattern(agent)) return agent;
  throw new CourierError("invalid", "A fetch has one agent", { hint: "--agent NAME" });
}

function elsewhere(flag: string, hint: string): CourierError {
  return new CourierError("invalid", `${flag} has no meaning here`, { hint });
}
