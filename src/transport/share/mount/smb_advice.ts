// What the options of an SMB mount mean for gpu-courier. Measured on Linux 6.1 with Samba 4.17, SMB 3.1.1, 2026-11.
import { about, type Check } from "../../../base/check.ts";

interface Meaning {
  readonly result: "ok" | "warning" | "failed";
  readonly message: string;
  readonly hint: string | null;
}

/** Both `soft` and `hard` are right: a call that fails is retried, and one that hangs is abandoned after 2 s. */
const OPTIONS: Readonly<Record<string, Meaning>> = {
  soft: {
    result: "ok",
    message:
      "The default of SMB: calls fail 10 to 40 s after its server refuses them, and wait while it is silent; gpu-courier retries",
    hint: null,
  },
  hard: { result: "ok", message: "While its server is away, calls wait until it is back", hint: null },
  nobrl: { result: "ok", message: "Locks stay on this machine: gpu-courier uses none", hint: null },
  "cache=none": {
    result: "ok",
    message: "Correct, but each read asks its server",
    hint: "gpu-courier needs only cache=strict, the default",
  },
  "cache=loose": {
    result: "failed",
    message: "Files of other machines appear late or with old content",
    hint: "Mount it with cache=strict, the default",
  },
};
/** The kernel lists `actimeo`, or these when they differ. */
const ATTRIBUTES = /^(?:actimeo|acdirmax|acregmax)=(\d+)$/;
const DEFAULT_S = 1;
const TESTED = "vers=3.1.1";

/** One check for each option that has a meaning, and one for all that is as it should be. */
export function adviseOnSmb(options: readonly string[]): Check[] {
  const found = options.flatMap((option) => {
    const meaning = OPTIONS[option] ?? aboutAttributes(option) ?? aboutVersion(option);
    return meaning === null ? [] : [about("mount_options", option)[meaning.result](meaning.message, meaning.hint)];
  });
  const plain = options.filter((option) => /^(?:vers|cache|actimeo|acdirmax|acregmax)=/.test(option));
  const named = new Set(found.map(({ subject }) => subject));
  const right = plain.filter((option) => !named.has(option));
  return [
    ...(right.length > 0 ? [about("mount_options").ok(`${right.join(", ")}: as recommended`)] : []),
    ...found,
    about("legacy_backend").ok("A legacy backend on this machine sees its responses within 2 s"),
  ];
}

function aboutAttributes(option: string): Meaning | null {
  const seconds = Number(ATTRIBUTES.exec(option)?.[1] ?? DEFAULT_S);
  if (seconds <= DEFAULT_S) return null;
  return {
    result: "warning",
    message: `A file that was rewritten may look unchanged for ${seconds} s`,
    hint: "Omit actimeo, acdirmax and acregmax: the default is 1 s",
  };
}

function aboutVersion(option: string): Meaning | null {
  if (!option.startsWith("vers=") || option === TESTED) return null;
  return {
    result: "warning",
    message: "gpu-courier was not tested with this version of SMB",
    hint: `Mount it with ${TESTED} if its server supports it`,
  };
}
