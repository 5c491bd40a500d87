// The conformance suite: checks each sentence of src/transport.ts against a driver.
import { describe, expect, test } from "bun:test";
import type { Transport } from "#src/transport.ts";
import { OWN } from "./addresses.ts";
import { CLAIM_SCENARIOS } from "./claims.ts";
import { COMMAND_SCENARIOS } from "./commands.ts";
import { FORGET_SCENARIOS } from "./forget.ts";
import { REACHABILITY_SCENARIOS } from "./reachability.ts";
import { REPLY_SCENARIOS } from "./replies.ts";
import { ROSTER_SCENARIOS } from "./roster.ts";
import type { Harness, Scenario } from "./scenario.ts";
import { STATE_SCENARIOS } from "./states.ts";
import { SWEEP_SCENARIOS } from "./sweeps.ts";
import { WATCH_STATES_SCENARIOS } from "./watch_states.ts";

const SCENARIOS: readonly Scenario[] = [
  ...COMMAND_SCENARIOS,
  ...CLAIM_SCENARIOS,
  ...REPLY_SCENARIOS,
  ...STATE_SCENARIOS,
  ...WATCH_STATES_SCENARIOS,
  ...ROSTER_SCENARIOS,
  ...FORGET_SCENARIOS,
  ...SWEEP_SCENARIOS,
  ...REACHABILITY_SCENARIOS,
];

/** Runs every scenario on a fresh store of the driver. */
export function describeTransport(driver: string, harness: Harness): void {
  describe(driver, () => {
    const { cannot, lacks = {} } = harness;
    const possible = SCENARIOS.filter(
      ({ name, needs = [] }) => !(name in cannot || needs.some((each) => each in lacks)),
    );
    for (const scenario of possible.filter((each) => !WATCH_STATES_SCENARIOS.includes(each)))
      test(scenario.name, async () => await runOn(harness, scenario));

    // They wait for seconds: at the same time. On their own, because --randomize puts other tests between them.
    describe("watched", () => {
      for (const scenario of possible.filter((each) => WATCH_STATES_SCENARIOS.includes(each)))
        test.concurrent(scenario.name, async () => await runOn(harness, scenario));
    });

    test("the harness skips only existing scenarios, each with a reason", () => {
      const names = SCENARIOS.map(({ name }) => name);
      const faults = Object.entries(cannot).filter(([name, reason]) => !names.includes(name) || reason === "");
      expect([...faults, ...Object.entries(lacks).filter(([, reason]) => reason === "")]).toEqual([]);
      expect(new Set(names).size).toBe(names.length);
    });
  });
}

/** Closes what the scenario opened, the store last. */
async function runOn(harness: Harness, { run }: Scenario): Promise<void> {
  const store = await harness.openStore();
  await using opened = new AsyncDisposableStack();
  opened.defer(async () => await store.remove());
  const handle = (): Transport => {
    const opening = store.handle();
    opened.defer(async () => await opening.close());
    return opening;
  };
  const connected = async (): Promise<Transport> => {
    const connecting = handle();
    await connecting.connect();
    return connecting;
  };
  const hasShared = !("shared inbox" in (harness.lacks ?? {}));
  const inbox = hasShared ? "shared" : { agent: "gpu-9" };
  if (!hasShared) await (await connected()).openInbox(inbox);
  await run({ store, handle, connected, inbox, addresses: hasShared ? [OWN, "shared"] : [OWN] });
}
