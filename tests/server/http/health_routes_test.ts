// What /readyz reveals, and how often it looks at the share.
import { expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";
import { openServer } from "#tests/support/sites/server_fixture.ts";

const REASON = "/mnt/secret-share is not readable by gpu-courier";

test("/readyz shows the reason only with a valid token", async () => {
  await using server = await openServer();
  server.store.interrupt(new CourierError("unavailable", REASON, { hint: "Look at /mnt/secret-share" }));
  for (const token of [null, "wrong"]) {
    const { status, body } = await server.call("GET", "/readyz", { token });
    expect([status, body.code, body.detail]).toEqual([503, "unavailable", "The share cannot be read"]);
    expect(JSON.stringify(body)).not.toContain("secret");
  }
  for (const token of [server.gp, server.viewer])
    expect((await server.call("GET", "/readyz", { token })).body.detail).toBe(REASON);
});

test("/readyz looks at the share once a second at most, however many ask", async () => {
  const clock = new ManualClock(Date.now());
  await using server = await openServer({ clock });
  const { fleet } = server.services;
  let looks = 0;
  const requireCurrent = fleet.requireCurrent.bind(fleet);
  fleet.requireCurrent = async () => {
    looks += 1;
    await requireCurrent();
  };
  const ask = async () => (await server.call("GET", "/readyz", { token: null })).status;
  expect(await Promise.all([ask(), ask(), ask()])).toEqual([200, 200, 200]);
  await clock.advance(999);
  expect([await ask(), looks]).toEqual([200, 1]);
  server.store.interrupt(new CourierError("unavailable", REASON));
  await clock.advance(1);
  expect([await ask(), await ask(), looks]).toEqual([503, 503, 2]);
});
