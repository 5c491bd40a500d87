// The verbs under mirror: models on the share, which the boxes pull instead of downloading each of them.
import { type Command, Option } from "@commander-js/extra-typings";
import { CourierError } from "../../../base/errors.ts";
import { parse } from "../../../program/flags.ts";
import { addressesOf } from "../../../program/transport_flags.ts";
import { sharePath } from "../../../transport/address.ts";
import { Mirror } from "../../../transport/mirror/mirror.ts";
import { examples, type Program } from "../../base_command.ts";
import type { ClientIo } from "../../io.ts";
import type { Printer } from "../../output/printer.ts";
import { serverOptions } from "../../run/reach.ts";
import { addToMirror } from "./adding.ts";
import { collectMirror, importIntoMirror, removeFromMirror } from "./changing.ts";
import { printMirror } from "./list.ts";
import { signInMirror } from "./signing.ts";
import type { MirrorVerb } from "./verb.ts";

const ABOUT =
  "Keep models on the share, in gpu_models: a model is brought there once, and every box pulls it from there.\n\n" +
  "Boxes use the mirror as their --mirror says. These verbs work on the share itself, where it is mounted.";

export function addMirrorVerbs(program: Program, io: ClientIo, openPrinter: () => Printer): void {
  const open = (): MirrorVerb => ({ mirror: openMirror(program), io, printer: openPrinter() });
  const mirror = program
    .command("mirror")
    .summary("Keep models on the share, from where every box pulls them.")
    .description(ABOUT);
  mirror
    .command("list")
    .alias("ls")
    .description("List the models of the mirror, with their sizes.")
    .addHelpText("after", examples("mirror list", "mirror list --json"))
    .action(async () => await printMirror(open()));
  addAdd(mirror, open);
  mirror
    .command("import")
    .description(
      "Copy models into the mirror from a models folder of Ollama, such as one on a disk. Every blob is verified.",
    )
    .argument("<dir>", "the folder that has manifests/ and blobs/")
    .argument("[model...]", "models to copy (default: all)")
    .addHelpText("after", examples("mirror import ~/.ollama/models", "mirror import /media/disk/models phi4 qwen3:8b"))
    .action(async (dir, models) => await importIntoMirror(open(), dir, models));
  mirror
    .command("rm")
    .description("Remove models from the mirror, with the blobs that no other model has. The boxes keep theirs.")
    .argument("<model...>", "as gpuctl mirror list shows it")
    .addHelpText("after", examples("mirror rm phi4"))
    .action(async (models) => await removeFromMirror(open(), models));
  addSign(mirror, open);
  mirror
    .command("gc")
    .description("Remove blobs that no model has, older than an hour, and unfinished files, older than 7 days.")
    .addHelpText("after", examples("mirror gc"))
    .action(async () => await collectMirror(open()));
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

function addAdd(mirror: Command, open: () => MirrorVerb): void {
  mirror
    .command("add")
    .description(
      "Fetch models from their registries into the mirror, from this machine. Every blob is verified; what a stop or a " +
        "failure has interrupted goes on where it was.",
    )
    .argument("<model...>", "models to fetch")
    .addOption(new Option("--fetch-rate <rate>", "fetch no faster than this, such as 50MB/s").argParser(parse.rate))
    .addOption(
      new Option("--insecure-registry <host:port>", "a registry without TLS; repeatable").argParser(
        parse.list(parse.text),
      ),
    )
    .addHelpText("after", examples("mirror add phi4 qwen3:8b", "mirror add phi4 --fetch-rate 50MB/s"))
    .action(async (models, choices) => await addToMirror(open(), models, choices));
}

/** @throws CourierError `invalid` when the command line names no share */
function openMirror(program: Program): Mirror {
  const isOnServer = serverOptions(program) !== undefined;
  const share = isOnServer
    ? undefined
    : addressesOf(program)
        .map(sharePath)
        .find((path) => path !== null);
  if (typeof share === "string") return new Mirror(share);
  throw new CourierError("invalid", "This verb works on the share itself", {
    hint: "Run it where the share is mounted, with --share",
  });
}
