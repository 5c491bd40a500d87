// Which transports a command line names, and in which order.
import { afterEach, describe, expect, test } from "bun:test";
import { programCommand } from "#src/program/command.ts";
import { addressesOf, addressOf } from "#src/program/transport_flags.ts";

const [SHARE, TRANSPORT] = ["GPU_COURIER_SHARE", "GPU_COURIER_TRANSPORT"];

afterEach(() => {
  delete process.env[SHARE];
  delete process.env[TRANSPORT];
});

function parsed(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  Object.assign(process.env, env);
  const program = programCommand("gpuctl", "Test.").action(() => undefined);
  program.parse([...argv], { from: "user" });
  return program;
}

describe("addressesOf()", () => {
  for (const [argv, env, addresses] of [
    [[], {}, ["/mnt/shared"]],
    [["--share", "/a"], {}, ["/a"]],
    [["--transport", "nats://one:4222,two"], {}, ["nats://one:4222,two"]],
    [["--transport", "nats://one", "--share", "/a"], {}, ["/a", "nats://one"]],
    [["--transport", "share:/b c", "--transport", "nats://one"], {}, ["share:/b c", "nats://one"]],
    [[], { [SHARE]: "/a" }, ["/a"]],
    [[], { [TRANSPORT]: "share:/b  nats://one,two" }, ["share:/b", "nats://one,two"]],
    [[], { [SHARE]: "/a", [TRANSPORT]: "nats://one" }, ["/a", "nats://one"]],
    [["--transport", "tls://two"], { [SHARE]: "/a", [TRANSPORT]: "nats://one" }, ["tls://two"]],
    [["--share", "/b"], { [TRANSPORT]: "nats://one" }, ["/b"]],
  ] as const)
    test(`is ${addresses.join(" and ")} for ${JSON.stringify([argv, env])}`, () => {
      expect(addressesOf(parsed(argv, env))).toEqual([...addresses]);
    });
});

test("addressOf() is one address, and refuses several", () => {
  expect(addressOf(parsed(["--share", "/a"]).opts())).toBe("/a");
  expect(addressOf(parsed(["--share", "/a", "--transport", "nats://one"]).opts())).toBe("nats://one");
  expect(() => addressOf(parsed(["--transport", "share:/a", "--transport", "nats://one"]).opts())).toThrow(
    "an agent has one transport",
  );
});
