// What signatures add to a ping: signed commands, responses and states, against the same programs that sign nothing.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureKey } from "#src/trust/key_file.ts";
import { publicLine } from "#src/trust/keys.ts";
import { programCommand } from "../children.ts";
import { median, percentile, roundTrips } from "./measure.ts";
import type { Measure } from "./report.ts";
import { Subject, WITHOUT_KEY } from "./subject.ts";

export interface SignatureEffort {
  readonly rounds: number;
  readonly roundTrips: number;
}

const LYING = 10;
const WARM_UP = 200;

/** @param dir where the shares are created; not removed */
export async function measureSignatures(dir: string, effort: SignatureEffort): Promise<Measure[]> {
  mkdirSync(dir, { recursive: true });
  const signingKey = ensureKey(join(dir, "signing.key"));
  const trustedKeys = join(dir, "trusted_keys");
  writeFileSync(trustedKeys, `${publicLine(signingKey, "bench")}\n`);
  const required = ["--trusted-keys", trustedKeys, "--require-signatures", "all"];
  const plain = await Subject.open(join(dir, "plain"), LYING, { command: WITHOUT_KEY });
  const signed = await Subject.open(join(dir, "signed"), LYING, {
    // From its sources, as the other.
    command: [...programCommand("agent")],
    args: required,
    signingKey,
  });
  const rounds: { plain: number[]; signed: number[] }[] = [];
  for (const { ping } of [plain, signed]) await roundTrips(ping, WARM_UP);
  for (let round = 0; round < effort.rounds; round++) {
    rounds.push({
      plain: await roundTrips(plain.ping, effort.roundTrips),
      signed: await roundTrips(signed.ping, effort.roundTrips),
    });
  }
  await Promise.all([plain.close(), signed.close()]);
  return [
    { name: "signed ping round trip against an unsigned one, p50", ...against(rounds, 0.5), target: TARGET },
    { name: "signed ping round trip against an unsigned one, p99", ...against(rounds, 0.99) },
  ];
}

/** On an idle machine 0.3 ms more; where others are busy too, five times that. */
const TARGET = { of: "ratio", most: 1.5, orMoreBy: 1.5 } as const;

function against(
  rounds: readonly { readonly plain: readonly number[]; readonly signed: readonly number[] }[],
  share: number,
): Omit<Measure, "name"> {
  const of = (side: "plain" | "signed"): number =>
    percentile(
      rounds.flatMap((round) => round[side]),
      share,
    );
  const ratios = rounds.map(({ plain, signed }) => percentile(signed, share) / percentile(plain, share));
  return { unit: "ms", value: of("signed"), floor: of("plain"), ratio: median(ratios) };
}
