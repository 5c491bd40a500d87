// The surroundings of a verb of the mirror.

import type { Mirror } from "../../../transport/mirror/mirror.ts";
import type { ClientIo } from "../../io.ts";
import type { Printer } from "../../output/printer.ts";

export interface MirrorVerb {
  readonly mirror: Mirror;
  readonly io: ClientIo;
  readonly printer: Printer;
}
