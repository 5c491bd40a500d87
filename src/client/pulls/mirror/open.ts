// The mirror on the share that the command line names.
import { CourierError } from "../../../base/errors.ts";
import { addressesOf } from "../../../program/transport_flags.ts";
import { sharePath } from "../../../transport/address.ts";
import { Mirror } from "../../../transport/mirror/mirror.ts";
import type { Program } from "../../base_command.ts";
import { serverOptions } from "../../run/reach.ts";

/** Of the first share. @throws CourierError `invalid` when the command line names no share, or gpu-server */
export function openMirror(program: Program): Mirror {
  if (serverOptions(program) !== undefined)
    throw new CourierError("invalid", "This verb works on the share itself", {
      hint: "Run it where the share is mounted, with --share",
    });
  const path = addressesOf(program)
    .map(sharePath)
    .find((each) => each !== null);
  if (typeof path === "string") return new Mirror(path);
  throw new CourierError("invalid", "The mirror is on a share, and none is named", {
    hint: "Add the share with --share, or go through a gpu-server that has the mirror: --server URL",
  });
}
