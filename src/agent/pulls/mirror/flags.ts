// The flags of gpu-agent about the mirror.
import { resolve } from "node:path";
import { flag } from "../../../program/flags.ts";
import type { MirrorSettings } from "./open_mirror.ts";
import { MIRROR_MODES, type MirrorMode } from "./sources.ts";

export const mirrorFlags = {
  mode: () =>
    flag(
      "--mirror <how>",
      "models in the mirror: auto (if current, or if the registry is away), only (no registry), off",
    )
      .choices(MIRROR_MODES)
      .default("auto" as const),
  folder: () =>
    flag(
      "--mirror-folder <dir>",
      "folder with the mirror's gpu_models, as this machine mounts it (default: the share)",
    ),
  url: () => flag("--mirror-url <url>", "mirror of a gpu-server with --serve-mirror, such as https://server/mirror"),
  tokenFile: () => flag("--mirror-token-file <file>", "file with the token for it, of the role mirror"),
  ca: () => flag("--mirror-ca <file>", "certificate of an authority to trust for it, in addition to the system's"),
};

export interface MirrorOptions {
  readonly mirror: MirrorMode;
  readonly mirrorFolder?: string | undefined;
  readonly mirrorUrl?: string | undefined;
  readonly mirrorTokenFile?: string | undefined;
  readonly mirrorCa?: string | undefined;
}

export function mirrorSettings(options: MirrorOptions): MirrorSettings {
  const { mirror: mode, mirrorFolder: folder, mirrorUrl: url, mirrorTokenFile: tokenFile, mirrorCa: ca } = options;
  return { mode, folder: folder === undefined ? undefined : resolve(folder), url, tokenFile, ca };
}
