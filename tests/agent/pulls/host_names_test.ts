// Whether a registry's host name exists, by what a resolver of the test says.
import { expect, test } from "bun:test";
import { HostNames } from "#src/agent/pulls/host_names.ts";

/** @param answers by name: an address, or the error code of the resolver */
function hostNames(answers: Readonly<Record<string, string>>, others: readonly string[] = []): HostNames {
  return new HostNames(others, async (name) => {
    const answer = answers[name] ?? "ENOTFOUND";
    await Promise.resolve();
    if (answer.startsWith("E")) throw Object.assign(new Error(`getaddrinfo ${answer} ${name}`), { code: answer });
    return answer;
  });
}

const ONLINE = { "registry.ollama.ai": "203.0.113.1" };

test.each([
  ["a name that the resolver denies while it finds another", "hub.typo", ONLINE, [], true],
  ["the same with a port", "hub.typo:5000", ONLINE, [], true],
  ["a name that exists", "registry.ollama.ai", ONLINE, [], false],
  ["a denied name while every name is denied", "hub.typo", {}, [], false],
  ["a name that no resolver answers for", "hub.typo", { ...ONLINE, "hub.typo": "EAI_AGAIN" }, [], false],
  ["a denied name while no resolver answers for others", "x.typo", { "registry.ollama.ai": "EAI_AGAIN" }, [], false],
  ["a denied name on a box that finds only its own registry", "x.typo", { own: "192.0.2.1" }, ["own:5000"], true],
  ["the default registry itself, denied on a box without internet", "registry.ollama.ai", {}, ["own:5000"], false],
])("isMissing() of %s", async (_what, host, answers, others, expected) => {
  expect(await hostNames(answers, others).isMissing(host)).toBe(expected);
});
