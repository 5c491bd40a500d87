// A fleet of 200 agents on one client, gpu-server on another: how long its lists take while they change, what they cost the
// share, how soon they show a change, and whether the agents depend on the server's machine.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { FleetSite, SERVING } from "#tests/nfs/fleet/site.ts";
import { type Calls, sum } from "#tests/nfs/guest/calls.ts";
import { describeTimes, quantile, report } from "#tests/nfs/guest/figures.ts";
import { cutNetwork, mendNetwork } from "#tests/nfs/guest/network.ts";
import { FULL, VERSIONS } from "#tests/nfs/guest/scope.ts";

const AGENTS = 200;
/** Each publishes its state every 5 s. */
const STATES_PER_S = AGENTS / 5;
const LISTS = ["/v1/agents?limit=100", "/v1/models?limit=100", "/v1/agents", "/v1/models", "/api/config/models"];
/** Of the time of a list to that of a bare server that sends the same bytes. */
const MEDIAN_RATIO = 5;
/** Of five pairs each. */
const ROUNDS = FULL ? 100 : 20;
const COST_S = FULL ? 60 : 5;
/** To open, read and close a document, and to look at the folder before that. */
const CALLS_PER_STATE = 4;
const CALLS_PER_LOOK = 20;
const CHANGES = FULL ? 100 : 20;
/** A look takes 0.1 s, and the next one begins 1 s later. On NFSv3 a listing may miss a change that the next one shows. */
const LISTED_WITHIN_MS = 2_500;
const PUBLISHED_WITHIN_MS = 50;
/** Longer than the time between two states of an agent, shorter than the 10 s that the server keeps what a client holds. */
const CUT_MS = 7_000;
const OLDEST_STATE_MS = 6_000;

describe.each(FULL ? VERSIONS : VERSIONS.slice(-1))(`NFSv%s, ${AGENTS} agents`, (version) => {
  const title = `NFSv${version}, ${AGENTS} agents`;
  let site: FleetSite;

  beforeAll(async () => {
    site = await FleetSite.open(version, AGENTS);
  }, 200_000);

  afterAll(async () => {
    await site[Symbol.asyncDispose]();
  }, 60_000);

  test("the server asks its share for what changed, and no more while its lists are asked for", async () => {
    // That time may show what was published in one second more, while the look before it went on.
    const limit = (CALLS_PER_STATE * STATES_PER_S + CALLS_PER_LOOK) * ((COST_S + 1) / COST_S);
    const atRest = await site.callsPerSecond(async () => await Bun.sleep(COST_S * 1000));
    report(`${title}, calls a second of the server at rest: ${describeCalls(atRest)}`);
    const asked = await site.callsPerSecond(async () => {
      for (let second = 0; second < COST_S; second++) {
        await Promise.all([site.ask("/v1/models?limit=100"), Bun.sleep(1000)]);
      }
    });
    report(`  with a list a second: ${describeCalls(asked)}`);
    for (const calls of [atRest, asked]) expect(sum(calls)).toBeLessThanOrEqual(limit);
  }, 200_000);

  test(`a list shows a new model within ${LISTED_WITHIN_MS / 1000} s`, async () => {
    const { listed, published } = await site.change(CHANGES);
    report(`${title}, a model until it is listed: ${describeTimes(listed)}`);
    report(`  its publication while the server reads: ${describeTimes(published)}`);
    expect(listed.length).toBe(CHANGES);
    expect(quantile(listed, 1)).toBeLessThanOrEqual(LISTED_WITHIN_MS);
    expect(quantile(published, 0.5)).toBeLessThan(PUBLISHED_WITHIN_MS);
  }, 200_000);

  test(`a list takes at most ${MEDIAN_RATIO} times as long as a bare server needs for the same bytes`, async () => {
    const lists = await site.compare(ROUNDS, LISTS);
    for (const { path, bytes, p50, p99 } of lists) {
      const [median, slow] = [p50, p99].map(({ value, floor, ratio }) => {
        return `${value.toFixed(2)} ms against ${floor.toFixed(2)} ms, ratio ${ratio.toFixed(2)}`;
      });
      report(`${title}, ${path}, ${bytes} bytes: p50 ${median}; p99 ${slow}`);
    }
    expect(lists.map(({ path }) => path)).toEqual(LISTS);
    for (const { p50 } of lists) expect(p50.ratio).toBeLessThanOrEqual(MEDIAN_RATIO);
  }, 200_000);

  test("the agents go on publishing while the server's machine is cut off", async () => {
    await cutNetwork([SERVING]);
    await Bun.sleep(CUT_MS);
    const oldestMs = site.oldestStateMs();
    await mendNetwork([SERVING]);
    report(`${title}, with the server's machine cut off: the oldest state is ${oldestMs} ms old`);
    expect(oldestMs).toBeLessThanOrEqual(OLDEST_STATE_MS);
  }, 60_000);

  test(`the agents renew ${STATES_PER_S} states a second`, async () => {
    const perSecond = await site.stopAgents();
    report(`${title}: ${perSecond.toFixed(1)} states a second`);
    expect(perSecond).toBeGreaterThan(0.9 * STATES_PER_S);
  }, 60_000);
});

function describeCalls(perSecond: Calls): string {
  const parts = [...perSecond].map(([name, count]) => `${name} ${count.toFixed(1)}`);
  return `${sum(perSecond).toFixed(1)} (${parts.join(", ")})`;
}
