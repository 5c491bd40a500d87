// src/transport/share/calls/momentary.ts: calls that SMB refuses for a moment.
import { expect, test } from "bun:test";
import { systemCode } from "#src/base/errors.ts";
import { repeated } from "#src/transport/share/calls/momentary.ts";

function failing(code: string, times: number) {
  const calls = { made: 0 };
  const call = async (): Promise<string> => {
    calls.made++;
    if (calls.made <= times) throw Object.assign(new Error(code), { code });
    return "done";
  };
  return { calls, call };
}

test.each([
  ["open", "EINVAL"],
  ["rename", "EACCES"],
] as const)("repeated() repeats %s while it fails with %s", async (what, code) => {
  const { calls, call } = failing(code, 2);
  expect(await repeated(what, call)).toBe("done");
  expect(calls.made).toBe(3);
});

test("repeated() gives up after a while and throws the call's error", async () => {
  const { calls, call } = failing("EACCES", 99);
  expect(await repeated("rename", call).catch(systemCode)).toBe("EACCES");
  expect(calls.made).toBe(6);
});

test("repeated() throws any other error at once", async () => {
  const { calls, call } = failing("EACCES", 1);
  expect(await repeated("open", call).catch(systemCode)).toBe("EACCES");
  expect(calls.made).toBe(1);
});
