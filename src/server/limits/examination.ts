// The doctor of gpu-server: the checks of `gpuctl doctor`, made where the share is mounted.

import type { Check } from "../../base/check.ts";
import type { Clock } from "../../base/clock.ts";
import type { Courier } from "../../courier.ts";
import { examine } from "../../doctor/report.ts";
import { type DoctorDocument, doctorDocument } from "../../documents/doctor.ts";
import { examineMirror, type MirrorUnderExamination } from "../../transport/mirror/reading/examine.ts";
import type { Transport } from "../../transport.ts";
import type { KeptRoster } from "../../trust/roster/kept_roster.ts";
import { SharedAnswers } from "./shared_answers.ts";

export interface ExaminationDeps {
  readonly transport: Transport;
  readonly courier: Courier;
  /** Null: no operator is trusted. */
  readonly roster: KeptRoster | null;
  /** What the server shares with others; null: it is alone. */
  readonly store: { examine(): AsyncIterable<Check> } | null;
  /** Where it reads or fills a mirror; missing: it does neither. */
  readonly mirror?: Pick<MirrorUnderExamination, "mirror" | "isFilled"> | null;
  readonly clock: Pick<Clock, "monotonic" | "now">;
}

/** It writes to the share and pings every agent: everybody who asks within this time gets the same. */
const KEPT_MS = 5_000;
/** As in gpu-agent doctor. With the timeout of other requests, callers would give up before they see any check. */
const PING_MS = 10_000;

export class Examination {
  readonly #deps: ExaminationDeps;
  readonly #answers: SharedAnswers<DoctorDocument>;

  constructor(deps: ExaminationDeps) {
    this.#deps = deps;
    this.#answers = new SharedAnswers({ clock: deps.clock, keptMs: KEPT_MS });
  }

  /** Every check. Never rejects. */
  async document(): Promise<DoctorDocument> {
    return await this.#answers.get("", async () => await this.#examine());
  }

  async #examine(): Promise<DoctorDocument> {
    const { transport, courier, roster, store, mirror = null, clock } = this.#deps;
    const kept = roster === null ? null : () => roster;
    const signal = new AbortController().signal;
    const checks: Check[] = [];
    for await (const check of examine({ transport, courier, pingMs: PING_MS, roster: kept, keepsKeys: true, signal }))
      checks.push(check);
    for await (const check of store?.examine() ?? []) checks.push(check);
    const ofMirror = mirror && examineMirror({ ...mirror, isRequired: true, requireSigned: null, nowMs: clock.now() });
    for await (const check of ofMirror ?? []) checks.push(check);
    return doctorDocument(checks);
  }
}
