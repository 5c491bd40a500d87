// The options of --desired.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { chosenDesired } from "#src/server/models/desired/flags.ts";

test("chosenDesired() keeps the fleet to nothing without --desired, and deletes nothing by default", () => {
  const usual = { desiredPrune: false, desiredMaxDeletes: 5 };
  expect(chosenDesired(usual)).toBeNull();
  expect(chosenDesired({ ...usual, desired: "fleet.yaml" })).toEqual({
    file: "fleet.yaml",
    prune: false,
    maxDeletes: 5,
  });
});

test("chosenDesired() refuses permission to delete without a file", () => {
  const choose = () => chosenDesired({ desiredPrune: true, desiredMaxDeletes: 5 });
  expect(choose).toThrow(CourierError);
  expect(choose).toThrow("--desired-prune needs --desired");
});
