// The conformance suite: checks each sentence of src/transport.ts against a driver.
import { afterEach, describe, expect, test } from "bun:test";
import type { Transport } from "#src/transport.ts";
import { CLAIM_SCENARIOS } from "./claims.ts";
import { COMMAND_SCENARIOS } from "./commands.ts";
import { FORGET_SCENARIOS } from "./forget.ts";
import { REACHABILITY_SCENARIOS } from "./reachability.ts";
import { REPLY_SCENARIOS } from "./replies.ts";
import { ROSTER_SCENARIOS } from "./roster.ts";
import type { Harness, Scenario, Store } from "./scenario.ts";
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
    const opened: { store: Store | null; readonly handles: Transport[] } = { store: null, handles: [] };
    afterEach(async () => {
      for (const handle of opened.handles.splice(0)) await handle.close();
      await opened.store?.remove();
      opened.store = null;
    });

    for (const { name, run } of SCENARIOS.filter((scenario) => !(scenario.name in harness.cannot))) {
      test(name, async () => {
        const store = await harness.openStore();
        opened.store = store;
        const handle = (): Transport => {
          const opening = store.handle();
          opened.handles.push(opening);
          return opening;
        };
        const connected = async (): Promise<Transport> => {
          const connecting = handle();
          await connecting.connect();
          return connecting;
        };
        await run({ store, handle, connected });
      });
    }

    test("the harness skips only existing scenarios, each with a reason", () => {
      const names = SCENARIOS.map(({ name }) => name);
      const faults = Object.entries(harness.cannot).filter(([name, reason]) => !names.includes(name) || reason === "");
      expect(faults).toEqual([]);
      expect(new Set(names).size).toBe(names.length);
    });
  });
}
