// How many tickets there are, and for how long.
import { describe, expect, test } from "bun:test";
import { CourierError } from "#src/base/errors.ts";
import { TICKET_LIFETIME_MS, Tickets } from "#src/server/access/tickets.ts";
import { ManualClock } from "#tests/support/clocks/manual_clock.ts";

const issued = (tickets: Tickets, name: string, authorization = `Bearer ${name}`): string =>
  tickets.issue({ name, way: "token" }, authorization)?.ticket ?? "none";

describe("Tickets", () => {
  test("are different, with 256 random bits, and begin as own tokens do", () => {
    const tickets = new Tickets({ clock: new ManualClock() });
    const made = Array.from({ length: 50 }, () => issued(tickets, "ada"));
    expect(new Set(made).size).toBe(50);
    for (const ticket of made) expect(ticket).toMatch(/^gpuc_ticket_[\w-]{43}$/);
  });

  test("stand for their token for 10 minutes, as often as needed", async () => {
    const clock = new ManualClock();
    const tickets = new Tickets({ clock });
    const { ticket = "", expiresAtMs } = tickets.issue({ name: "ada", way: "token" }, "Bearer abc") ?? {};
    expect(expiresAtMs).toBe(clock.now() + 600_000);
    for (let time = 0; time < 3; time++) expect(tickets.authorizationOf(ticket)).toBe("Bearer abc");
    await clock.advance(TICKET_LIFETIME_MS - 1);
    expect(tickets.authorizationOf(ticket)).toBe("Bearer abc");
    await clock.advance(1);
    expect(tickets.authorizationOf(ticket)).toBeInstanceOf(CourierError);
    expect(tickets.size).toBe(0);
  });

  test("that are unknown are refused with what to do", () => {
    const tickets = new Tickets({ clock: new ManualClock() });
    for (const ticket of ["", "gpuc_ticket_x", "x".repeat(100_000), `${issued(tickets, "ada")}x`])
      expect(tickets.authorizationOf(ticket)).toMatchObject({
        code: "unauthenticated",
        hint: expect.stringContaining("POST /v1/tickets"),
      });
  });

  test("are at most 100 for a caller: another one ends its oldest, and none of others", () => {
    const tickets = new Tickets({ clock: new ManualClock() });
    const other = issued(tickets, "bob");
    const own = Array.from({ length: 101 }, () => issued(tickets, "ada"));
    expect(tickets.size).toBe(101);
    expect(tickets.authorizationOf(own[0] ?? "")).toBeInstanceOf(CourierError);
    for (const ticket of [other, own[1] ?? "", own[100] ?? ""]) expect(tickets.authorizationOf(ticket)).toBeString();
  });

  test("of a token are not those of a user of the platform with the same name", () => {
    const tickets = new Tickets({ clock: new ManualClock() });
    const other = tickets.issue({ name: "ada", way: "jwt" }, "Bearer x")?.ticket ?? "";
    for (let count = 0; count < 101; count++) issued(tickets, "ada");
    expect(tickets.authorizationOf(other)).toBe("Bearer x");
  });

  test("are at most 10,000 in all, until some end", async () => {
    const clock = new ManualClock();
    const tickets = new Tickets({ clock });
    for (let number = 0; number < 10_000; number++) issued(tickets, `user:${number % 200}`);
    expect(tickets.issue({ name: "one-more", way: "token" }, "Bearer x")).toBeUndefined();
    expect(tickets.size).toBe(10_000);
    await clock.advance(TICKET_LIFETIME_MS);
    expect(tickets.issue({ name: "one-more", way: "token" }, "Bearer x")).toBeDefined();
  });
});
