// Parses values of flags about tokens and times. Commander shows their errors with the flag's name.
import { InvalidArgumentError } from "@commander-js/extra-typings";
import { systemClock } from "../../base/clock.ts";
import { parse } from "../../program/flags.ts";
import type { Verb } from "../../protocol.ts";
import { sinceMsOf } from "../audit/since.ts";
import { expiryOf } from "./expiry.ts";
import { tokenVerb } from "./verb_words.ts";

export function parseExpiry(text: string): number {
  const atMs = expiryOf(text, systemClock.now());
  if (atMs !== undefined) return atMs;
  throw new InvalidArgumentError("Give a time to come: 30d, 12h, or a day such as 2027-06-01");
}

export function parseSince(text: string): number {
  const ms = sinceMsOf(text, systemClock.now());
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError("Give a time that has passed: 12h, 2d, or an instant such as 2027-06-01T08:00Z");
}

export function parseVerbs(text: string, previous: readonly Verb[] | undefined): Verb[] {
  const parseVerb = (word: string): Verb => {
    const verb = tokenVerb(word);
    if (verb !== undefined) return verb;
    throw new InvalidArgumentError("Use verbs of the list in: gpu-server token add --help");
  };
  return parse.list(parseVerb)(text, previous).map(parseVerb);
}
