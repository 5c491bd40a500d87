// The text that an operator signs.
import { expect, test } from "bun:test";
import { publicLine, rawKey } from "#src/trust/keys.ts";
import { formatDraft, parseDraft, signRoster } from "#src/trust/roster/draft.ts";
import { verifyRoster } from "#src/trust/roster/roster.ts";
import { testKey } from "#tests/trust/test_key.ts";
import { OPERATOR } from "./signed.ts";

const SENDER = publicLine(testKey(1), "server@platform");
const AGENT = publicLine(testKey(3), "gpu-1");
const CONTENT = {
  agents: { "gpu-1": rawKey(testKey(3)) },
  senders: [SENDER, `${publicLine(testKey(2), "alice@laptop")} verbs=pull_model not-after=2027-06-01`],
  revoked: [testKey(5).id],
};

test("parseDraft() reads the lines that the programs print, in any order, and formatDraft() writes them", () => {
  const [first, second] = CONTENT.senders;
  const text = `# Ours\n\nrevoked ${testKey(5).id} # stolen\nsender  ${first}\r\nagent gpu-1 ${AGENT}\nsender ${second}\n`;
  expect(parseDraft(text)).toEqual(CONTENT);
  expect(parseDraft(formatDraft(CONTENT))).toEqual(CONTENT);
  expect(parseDraft(`sender ${SENDER}#1 verbs=ping # until May\n`).senders).toEqual([`${SENDER}#1 verbs=ping`]);
  expect(parseDraft("")).toEqual({ agents: {}, senders: [], revoked: [] });
});

test.each([
  ["another word", `box gpu-1 ${AGENT}`, "it begins with none of agent, sender and revoked"],
  ["a sender's line alone", SENDER, "it begins with none of agent, sender and revoked"],
  ["an agent without a name", `agent ${AGENT}`, "after the agent's name, give the line that `gpu-agent key` prints"],
  ["an agent's name that cannot be one", `agent GPU_1 ${AGENT}`, '"GPU_1" is not an agent\'s name'],
  ["the legacy service", `agent gpu ${AGENT}`, "a legacy service has no key"],
  ["an agent's name again", `agent gpu-1 ${SENDER}`, "gpu-1 has a line already"],
  ["the key of another agent", `agent gpu-2 ${AGENT}`, "it has the key of gpu-1: was the state directory copied?"],
  ["a sender without a key", "sender", "after sender, give the line that `gpuctl key` or `gpu-server key` prints"],
  ["a sender's key again", `sender ${SENDER} verbs=ping`, "it has the key of another line"],
  ["a verb that does not exist", `sender ${publicLine(testKey(2), "a")} verbs=rm`, '"rm" is not a verb'],
  ["a limit behind #", `sender ${publicLine(testKey(2), "a")} # verbs=ping`, '"verbs=ping" is behind #'],
  ["a revoked key that is not an id", `revoked ${rawKey(testKey(2))}`, "the id of a key has 16 of 0-9 and a-f"],
] as const)("parseDraft() refuses %s, and names the line", (_, line, reason) => {
  expect(() => parseDraft(`sender ${SENDER}\nagent gpu-1 ${AGENT}\n${line}\n`)).toThrow(`line 3: ${reason}`);
});

test("signRoster() makes what verifyRoster() takes, and nothing that no reader would take", () => {
  const times = { serial: 1, issued_at_ms: 1000, expires_at_ms: 2000 };
  const text = signRoster(CONTENT, times, testKey(OPERATOR));
  expect(verifyRoster(text, () => testKey(OPERATOR))).toMatchObject({
    ...CONTENT,
    ...times,
    signedBy: testKey(OPERATOR).id,
  });
  const tooLong = { ...times, expires_at_ms: 91 * 86_400_000 };
  expect(() => signRoster(CONTENT, tooLong, testKey(OPERATOR))).toThrow("within 90 days");
  const many = { ...CONTENT, senders: Array.from({ length: 5000 }, () => "x".repeat(1000)) };
  expect(() => signRoster(many, times, testKey(OPERATOR))).toThrow("larger than 4194304 bytes");
});
