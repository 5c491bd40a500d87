// The doctor's check of names that agents on several transports have.
import { about, type Check } from "../../base/check.ts";
import type { Choice, Relation } from "./choice.ts";

/** More names are only counted. */
const EXAMINED = 20;

const HINTS: Readonly<Record<Exclude<Relation, "same">, string>> = {
  twin: "Two machines may have the same state directory, as of a cloned disk: stop one, and remove its state directory",
  other:
    "Give one of them another --name. If it is gone for good: gpuctl forget, with the address of its transport alone",
  conflict: "Give one of them another --name, and find out who runs it",
};

/** What an agent left behind where it moved from is no fault. */
export function* checkNames(choices: ReadonlyMap<string, Choice>): Generator<Check> {
  const check = about("transports");
  const found = [...choices].flatMap(([agent, { used, others }]) =>
    others.flatMap(({ member, relation }) => (relation === "same" ? [] : [{ agent, used, member, relation }])),
  );
  if (found.length === 0) yield check.ok("No two agents have the same name");
  for (const { agent, used, member, relation } of found.slice(0, EXAMINED)) {
    const [here, there] = [used.member.description, member.description];
    const text = `the one on ${here} is used, the one on ${there} is not`;
    const own = about("transports", agent);
    if (relation === "conflict")
      yield own.failed(`Conflict: two agents have this name and sign with different keys: ${text}`, HINTS.conflict);
    else if (relation === "twin") yield own.warning(`It publishes its state on ${here} and on ${there}`, HINTS.twin);
    else yield own.warning(`Two agents have this name: ${text}`, HINTS.other);
  }
  const more = found.length - EXAMINED;
  if (more > 0) yield check.warning(`${more} more agents have the name of another one`, HINTS.other);
}
