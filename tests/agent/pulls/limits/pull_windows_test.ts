// When a window is open: over midnight, the week's end, and the days on which clocks are changed.
import { describe, expect, test } from "bun:test";
import { addPullWindows, type Opening, PullWindows, parsePullWindow } from "#src/agent/pulls/limits/pull_windows.ts";
import { CourierError } from "#src/base/errors.ts";

/** How it is at a time of Berlin or UTC: `open until …`, `closed until …`, in UTC. */
function at(instant: string, ...windows: readonly string[]): string {
  const opening: Opening = new PullWindows(windows.map((text) => parsePullWindow(text))).at(Date.parse(instant));
  if (!opening.isOpen) return `closed until ${new Date(opening.opensAtMs).toISOString().slice(0, 16)}`;
  return opening.closesAtMs === null ? "open" : `open until ${new Date(opening.closesAtMs).toISOString().slice(0, 16)}`;
}

const UTC = "TZ=UTC Mon-Fri 20:00-06:00";

describe("PullWindows", () => {
  // 2026-11-27 is a Friday.
  test.each([
    ["2026-11-27T12:00Z", "closed until 2026-11-27T20:00"],
    ["2026-11-27T19:59:59.999Z", "closed until 2026-11-27T20:00"],
    ["2026-11-27T20:00Z", "open until 2026-11-28T06:00"],
    ["2026-11-28T05:59:59Z", "open until 2026-11-28T06:00"],
    ["2026-11-28T06:00Z", "closed until 2026-11-30T20:00"],
    ["2026-11-29T23:00Z", "closed until 2026-11-30T20:00"],
    ["2026-11-30T02:00Z", "closed until 2026-11-30T20:00"],
  ])("Mon-Fri 20:00-06:00 is at %s %s: Friday's ends on Saturday", (instant, expected) => {
    expect(at(instant, UTC)).toBe(expected);
  });

  test.each([
    ["TZ=UTC 20:00-06:00", "2026-11-29T03:00Z", "open until 2026-11-29T06:00"],
    ["TZ=UTC 06:00-20:00", "2026-11-29T03:00Z", "closed until 2026-11-29T06:00"],
    ["TZ=UTC Fri 20:00-06:00", "2026-11-28T03:00Z", "open until 2026-11-28T06:00"],
    ["TZ=UTC Fri 20:00-06:00", "2026-11-28T07:00Z", "closed until 2026-12-04T20:00"],
    ["TZ=UTC sat,SUN 00:00-24:00", "2026-11-28T07:00Z", "open until 2026-11-30T00:00"],
    ["TZ=UTC Fri-Mon 22:00-23:00", "2026-12-01T07:00Z", "closed until 2026-12-04T22:00"],
    ["TZ=UTC 00:00-24:00", "2026-12-01T07:00Z", "open"],
    ["TZ=Asia/Kolkata 20:00-21:00", "2026-12-01T07:00Z", "closed until 2026-12-01T14:30"],
  ])("%s is at %s %s", (window, instant, expected) => {
    expect(at(instant, window)).toBe(expected);
  });

  test("several windows count together, and those that meet are one", () => {
    const windows = [UTC, "TZ=UTC Sat,Sun 06:00-24:00", "TZ=UTC Sun,Mon 00:00-06:00"];
    expect(at("2026-11-27T21:00Z", ...windows)).toBe("open until 2026-11-30T06:00");
    expect(at("2026-11-26T12:00Z", ...windows)).toBe("closed until 2026-11-26T20:00");
  });

  test("without a window it is always open", () => {
    expect(at("2026-11-27T21:00Z")).toBe("open");
  });

  test.each([
    // Clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 to 02:00 on 2026-10-25.
    ["20:00-06:00", "2026-03-28T20:00Z", "open until 2026-03-29T04:00"],
    ["20:00-06:00", "2026-10-24T20:00Z", "open until 2026-10-25T05:00"],
    ["02:30-03:30", "2026-03-29T00:00Z", "closed until 2026-03-29T01:00"],
    ["02:30-03:30", "2026-03-29T01:00Z", "open until 2026-03-29T01:30"],
    ["22:00-02:30", "2026-03-29T00:59Z", "open until 2026-03-29T01:00"],
    ["02:10-02:40", "2026-03-29T00:00Z", "closed until 2026-03-30T00:10"],
    ["02:30-06:00", "2026-10-25T00:00Z", "closed until 2026-10-25T00:30"],
    ["02:30-06:00", "2026-10-25T01:15Z", "open until 2026-10-25T05:00"],
    ["22:00-02:30", "2026-10-25T00:15Z", "open until 2026-10-25T00:30"],
    ["22:00-02:30", "2026-10-25T01:15Z", "closed until 2026-10-25T21:00"],
    ["Sun 02:10-02:40", "2026-03-28T00:00Z", "closed until 2026-04-05T00:10"],
  ])("%s in Berlin is at %s %s, where clocks are changed", (window, instant, expected) => {
    expect(at(instant, `TZ=Europe/Berlin ${window}`)).toBe(expected);
  });

  test.each(["America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Africa/Cairo"])(
    "opens and closes once a day at the times of %s, on every day of a year",
    (zone) => {
      const windows = new PullWindows([parsePullWindow(`TZ=${zone} 21:00-05:00`)]);
      const clock = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" });
      let nowMs = Date.parse("2026-01-01T12:00Z");
      let count = 0;
      for (; nowMs < Date.parse("2027-01-01T12:00Z"); count++) {
        const opening = windows.at(nowMs);
        const nextMs = opening.isOpen ? opening.closesAtMs : opening.opensAtMs;
        if (nextMs === null) throw new Error("It never changes");
        expect(clock.format(nextMs)).toBe(opening.isOpen ? "05:00" : "21:00");
        nowMs = nextMs;
      }
      expect(count).toBeWithin(729, 732);
    },
  );

  test("says in its own zone until when it is closed", () => {
    const opening = new PullWindows([parsePullWindow("TZ=Europe/Berlin 20:00-06:00")]).at(
      Date.parse("2026-11-30T12:00Z"),
    );
    expect(opening).toMatchObject({ isOpen: false, opensAt: "2026-11-30 20:00 Europe/Berlin" });
  });
});

describe("parsePullWindow()", () => {
  test.each([
    ["", "looks like 'Mon-Fri 20:00-06:00'"],
    ["Mon-Fri", "looks like 'Mon-Fri 20:00-06:00'"],
    ["at night", "looks like 'Mon-Fri 20:00-06:00'"],
    ["20:00", "looks like 'Mon-Fri 20:00-06:00'"],
    ["8pm-6am", "looks like 'Mon-Fri 20:00-06:00'"],
    ["20:00-25:00", "Times go from 00:00"],
    ["20:60-23:00", "Times go from 00:00"],
    ["24:00-06:00", "Times go from 00:00"],
    ["20:00-20:00", "The whole day is 00:00-24:00"],
    ["Mo-Fr 20:00-06:00", "Days are Mon, Tue"],
    ["Mon-Fri-Sat 20:00-06:00", "Days are Mon, Tue"],
    ["Mon,,Fri 20:00-06:00", "Days are Mon, Tue"],
    ["TZ=Europe/Nowhere 20:00-06:00", "There is no time zone"],
  ])("refuses %p with a hint: %s", (text, hint) => {
    let refusal: unknown;
    try {
      parsePullWindow(text);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(CourierError);
    expect(refusal).toMatchObject({ code: "invalid", hint: expect.stringContaining(hint) });
  });

  test("takes the zone of the box without TZ=", () => {
    const { local } = parsePullWindow("Mon-Fri 20:00-06:00");
    expect(local.zone).toBe(Intl.DateTimeFormat().resolvedOptions().timeZone);
  });
});

test("addPullWindows() separates at commas behind times, not between days", () => {
  const windows = addPullWindows("Mon,Wed 20:00-06:00, Sat,Sun 00:00-24:00,", addPullWindows("Fri 20:00-21:00"));
  expect(windows.map(({ weekdays }) => [...weekdays])).toEqual([[5], [1, 3], [6, 0]]);
});
