// What the options of a network mount mean for gpu-courier, and what to do about them.
import { about, type Check } from "../../../base/check.ts";
import { adviseOnSmb } from "./smb_advice.ts";
import type { Mount } from "./table.ts";

interface Advice {
  readonly result: "warning" | "failed";
  readonly message: string;
  readonly hint: string;
}

const REMOUNT = "Remount it without this option: use vers=4.2,hard and leave the rest at the defaults";

/** Measured on Linux 6.1, NFSv3 and v4.2, 2026-11. */
const NFS_OPTIONS: Readonly<Record<string, Advice>> = {
  nocto: { result: "failed", message: "Files of other machines stay invisible for up to 60 s", hint: REMOUNT },
  soft: {
    result: "warning",
    message: "While its server is away, calls fail after a while, and data being written may be lost",
    hint: REMOUNT,
  },
  softerr: {
    result: "warning",
    message: "While its server is away, calls fail or return old listings",
    hint: REMOUNT,
  },
  noac: { result: "warning", message: "Each look costs 3 to 15 calls of its server instead of 1", hint: REMOUNT },
  "lookupcache=none": {
    result: "warning",
    message: "Each look costs 3 to 15 calls of its server instead of 1",
    hint: "For a legacy backend on this machine lookupcache=pos is enough; otherwise omit the option",
  },
  "acdirmin=0": {
    result: "warning",
    message: "Folders are not cached: each look costs several calls of its server",
    hint: "Omit actimeo, acdirmin and acdirmax: a fresh listing asks the server anyway",
  },
  "vers=3": {
    result: "warning",
    message: "Two changes within 4 ms may be seen as one until the next change, or for up to 10 s",
    hint: "Mount it with vers=4.2 if its server supports it",
  },
};

/** The options of sshfs are in no table of the kernel. Measured with sshfs 3.7: 21 s for a ping, and 53 ms without its cache. */
const SSHFS = about("mount_options").ok(
  "sshfs does not show its options: by default, files of other machines appear up to 20 s late",
  "Unless that was done: mount it with -o dir_cache=no",
);

/** One check for each option that matters, or a single one that passes. */
export function adviseOnMount({ type, options }: Mount): Check[] {
  if (type === "cifs" || type === "smb3") return adviseOnSmb(options);
  if (type === "fuse.sshfs") return [SSHFS];
  return type === "nfs" || type === "nfs4" ? adviseOnNfs(options) : [];
}

function adviseOnNfs(options: readonly string[]): Check[] {
  const found = options.flatMap((option) => {
    const advice = NFS_OPTIONS[option];
    // The kernel also lists the options that noac implies.
    const isImplied = option === "acdirmin=0" && options.includes("noac");
    return advice === undefined || isImplied
      ? []
      : [about("mount_options", option)[advice.result](advice.message, advice.hint)];
  });
  const listed = options.filter((option) =>
    /^(?:vers=.*|hard|lookupcache=.*|ac(?:dir|reg)m(?:in|ax)=.*)$/.test(option),
  );
  const checks =
    found.length > 0 ? found : [about("mount_options").ok(`${listed.join(", ") || "defaults"}: as recommended`)];
  return [...checks, adviseLegacyBackend(options)];
}

/** A legacy backend asks for a file by its name, and the kernel caches that it does not exist. */
function adviseLegacyBackend(options: readonly string[]): Check {
  const check = about("legacy_backend");
  if (options.some((option) => option === "lookupcache=pos" || option === "lookupcache=none" || option === "noac"))
    return check.ok("A legacy backend on this machine sees its responses at once");
  const lookup = options.find((option) => option.startsWith("acdirmax="));
  const seconds = lookup === undefined ? 60 : Number(lookup.split("=")[1]);
  return check.ok(
    `A legacy backend on this machine may see its responses up to ${seconds} s late`,
    "Only matters if one runs here: run gpu-server here too, or mount with lookupcache=pos",
  );
}
