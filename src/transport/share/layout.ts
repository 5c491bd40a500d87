// The folders and file names of the share: every path is built here, from names that match the grammar.
import { join } from "node:path";
import { CourierError } from "../../base/errors.ts";
import { AgentName, CommandId } from "../../protocol.ts";
import type { Inbox, ReplyAddress } from "../../transport.ts";

/** A folder of the share, and the top folder that it is or is in. */
export interface Folder {
  readonly top: string;
  readonly path: string;
}

/** How files of one kind are named after their id or agent. */
export interface Naming {
  /** @throws CourierError `invalid` when it does not match the grammar */
  format(name: string): string;
  /** @returns null for every other file name */
  parse(fileName: string): string | null;
}

export const COMMAND_FILES = naming(".json", "id", CommandId);
export const RESPONSE_FILES = naming("_response.json", "id", CommandId);
export const STATE_FILES = naming("_status.json", "agent name", AgentName);

const CLAIM = /^([A-Za-z0-9][A-Za-z0-9_-]{0,127})~[0-9a-f]{16}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export class Layout {
  readonly root: string;
  /** A top folder: its path is its own top. */
  readonly commands: Folder;
  readonly status: Folder;
  readonly claims: Folder;
  /** The file in a folder for replies whose mtime shows that its owner still reads there. */
  readonly signOfLife = ".alive";
  /** The file in `status`; no document of an agent has such a name. */
  readonly roster = ".roster.json";

  constructor(root: string) {
    this.root = root;
    this.commands = topFolder(root, "gpu_commands");
    this.status = topFolder(root, "gpu_status");
    this.claims = inside(this.commands, ".claims");
  }

  inbox(inbox: Inbox): Folder {
    return inbox === "shared" ? this.commands : inside(this.commands, requireName(inbox.agent));
  }

  replies(address: ReplyAddress): Folder {
    return address === "shared" ? this.status : inside(this.status, requireName(address.replyTo));
  }

  /** Where files for this folder are written before they are published. */
  temporary(folder: Folder): Folder {
    return inside(folder, ".tmp");
  }

  /** The folders that `temporary` names. */
  get temporaries(): readonly Folder[] {
    return [inside(this.commands, ".tmp"), inside(this.status, ".tmp")];
  }

  /** Whether a name in one of them is one of ours. */
  isTemporary(name: string): boolean {
    return UUID.test(name);
  }

  /** Whether a name in a watched folder is that of a file we make for a moment, to move the folder's mtime. */
  isNudge(name: string): boolean {
    return name.startsWith(".") && UUID.test(name.slice(1));
  }

  /** The id of the command that a claim file is for; null for every other name. */
  claimed(name: string): string | null {
    return CLAIM.exec(name)?.[1] ?? null;
  }

  /** The name of a delivery's claim file. @throws CourierError `invalid` for a text that is no delivery key */
  claimName(key: string): string {
    if (this.claimed(key) !== null) return key;
    throw new CourierError("invalid", `Cannot claim ${JSON.stringify(key)}: not a delivery key`);
  }
}

function topFolder(root: string, name: string): Folder {
  const path = join(root, name);
  return { top: path, path };
}

function inside({ top }: Folder, name: string): Folder {
  return { top, path: join(top, name) };
}

function requireName(name: string): string {
  return requireFit(AgentName, "agent name", name);
}

function naming(suffix: string, what: string, grammar: typeof CommandId): Naming {
  return {
    format: (name) => `${requireFit(grammar, what, name)}${suffix}`,
    parse: (fileName) => {
      if (!fileName.endsWith(suffix)) return null;
      const name = fileName.slice(0, -suffix.length);
      return grammar.safeParse(name).success ? name : null;
    },
  };
}

function requireFit(grammar: typeof CommandId, what: string, name: string): string {
  const result = grammar.safeParse(name);
  if (result.success) return name;
  throw new CourierError(
    "invalid",
    `Cannot use ${JSON.stringify(name)} as ${what}: ${result.error.issues[0]?.message}`,
  );
}
