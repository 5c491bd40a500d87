// The checks of `gpu-agent doctor` on the mirror that this box pulls from, or fills.
import { about, type Check } from "../../../base/check.ts";
import type { Clock } from "../../../base/clock.ts";
import { Mirror } from "../../../transport/mirror/mirror.ts";
import { examineMirror } from "../../../transport/mirror/reading/examine.ts";
import { mirrorGuard } from "../../../transport/mirror/reading/guard.ts";
import type { MirrorReader } from "../../../transport/mirror/reading/reader.ts";
import type { SignatureMode } from "../../../trust/requirement.ts";
import type { KeptRoster } from "../../../trust/roster/kept_roster.ts";
import { TrustedSenders } from "../../../trust/roster/trusted_senders.ts";
import { TrustedKeysFile } from "../../../trust/trusted_keys_file.ts";
import { type FoundMirror, filledShare, type MirrorSettings, openMirror } from "./open_mirror.ts";
import { SignedCopies } from "./signed_copies.ts";

interface Settings {
  readonly mirror: MirrorSettings;
  /** Whether it fetches models into the mirror. */
  readonly mirrorSource: boolean;
  readonly address: string;
  readonly trustedKeys: string | undefined;
  readonly requireSignatures: SignatureMode | undefined;
}

/** No model has this name: only whether somebody answers counts. */
const NOTHING = "gpu-courier/doctor:latest";

/** @param roster null: no operator is trusted. Never rejects */
export async function* examineOwnMirror(
  settings: Settings,
  roster: (() => KeptRoster) | null,
  clock: Clock,
): AsyncGenerator<Check> {
  const { mirror: given, mirrorSource: isFilled, address } = settings;
  let found: FoundMirror | null;
  let filled: string | null;
  try {
    found = openMirror(given, address, clock);
    filled = isFilled ? filledShare(given, address) : null;
  } catch (error) {
    yield about("mirror").failedBy(error);
    return;
  }
  const nowMs = clock.now();
  if (found?.kind === "server") yield await checkServer(found.base, found.mirror);
  if (found?.kind === "folder") {
    const { mirror } = found;
    const signed = signedCopies(settings, roster, mirror, clock);
    const requireSigned =
      signed && (async (model: Parameters<SignedCopies["requireSigned"]>[0]) => await signed.requireSigned(model));
    const isRequired = given.mode === "only" || given.folder !== undefined;
    yield* examineMirror({ mirror, isRequired, isFilled, requireSigned, nowMs });
  } else if (filled !== null) {
    // Its own pulls do not use the mirror that it fills.
    const mirror = new Mirror(filled, mirrorGuard(clock));
    yield* examineMirror({ mirror, isRequired: false, isFilled, requireSigned: null, nowMs });
  }
}

async function checkServer(base: string, mirror: MirrorReader): Promise<Check> {
  const check = about("mirror");
  try {
    await mirror.find(NOTHING);
    return check.ok(`${base} answers, and accepts this box's token`);
  } catch (error) {
    return check.failedBy(error);
  }
}

/** Null: this box requires no signatures. */
function signedCopies(
  { trustedKeys, requireSignatures }: Settings,
  roster: (() => KeptRoster) | null,
  mirror: MirrorReader,
  clock: Clock,
): SignedCopies | null {
  const hasKeys = trustedKeys !== undefined || roster !== null;
  const mode = requireSignatures ?? (hasKeys ? "changing" : "off");
  if (!hasKeys || (mode !== "changing" && mode !== "all")) return null;
  const file = trustedKeys === undefined ? null : new TrustedKeysFile(trustedKeys);
  return new SignedCopies({ mirror, keys: new TrustedSenders({ file, roster: roster?.() ?? null }), clock });
}
