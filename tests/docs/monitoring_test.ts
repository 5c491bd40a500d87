// docs/monitoring: the dashboard is one that Grafana reads, and it and the alerts use only metrics that exist.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { FAMILIES, isMetricName, METRIC_NAMES } from "#src/program/metrics/families.ts";
import { anchor } from "./markdown.ts";

const DOCS = join(import.meta.dir, "../../docs");
const read = async (name: string): Promise<string> => await Bun.file(join(DOCS, name)).text();

const Source = z.object({ type: z.literal("prometheus"), uid: z.literal("${datasource}") });
const Target = z.object({
  datasource: Source,
  refId: z.string().regex(/^[A-Z]$/),
  expr: z.string().min(1),
  legendFormat: z.string(),
});
const place = z.int().nonnegative();
const Place = z.object({ x: place.max(23), y: place, w: place.min(1).max(24), h: place.min(1) });
const Common = z.object({ id: z.int().positive(), title: z.string().min(1), gridPos: Place });
const Row = Common.extend({ type: z.literal("row"), panels: z.tuple([]) });
const Panel = Common.extend({
  type: z.enum(["stat", "timeseries", "table", "bargauge", "state-timeline"]),
  datasource: Source,
  fieldConfig: z.object({ defaults: z.looseObject({ unit: z.string() }), overrides: z.array(z.unknown()) }),
  options: z.looseObject({}),
  targets: z.array(Target).min(1),
});
const Dashboard = z.object({
  uid: z.string(),
  title: z.string(),
  schemaVersion: z.int().min(36),
  panels: z.array(z.union([Row, Panel])),
  templating: z.object({
    list: z.tuple([
      z.object({ name: z.literal("datasource"), type: z.literal("datasource"), query: z.literal("prometheus") }),
      z.object({ name: z.literal("agent"), type: z.literal("query"), datasource: Source, definition: z.string() }),
    ]),
  }),
});
const Rule = z.object({
  alert: z.string(),
  expr: z.string(),
  labels: z.object({ severity: z.enum(["critical", "warning"]) }),
  annotations: z.object({ summary: z.string(), description: z.string(), runbook: z.string() }),
});
const Rules = z.object({ groups: z.tuple([z.object({ rules: z.array(Rule) })]) });
const RuleTests = z.object({
  tests: z.array(
    z.object({ alert_rule_test: z.array(z.object({ alertname: z.string(), exp_alerts: z.unknown().optional() })) }),
  ),
});

const FUNCTIONS =
  "abs absent avg by and count deriv group_left histogram_quantile increase label_values max max_over_time"
    .concat(" min on or rate sum time unless vector without")
    .split(" ");

/** The names in a query that are neither functions nor labels nor numbers. */
function unknownIn(expression: string): string[] {
  const plain = expression
    .replaceAll(/"[^"]*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, "")
    .replaceAll(/\b(?:by|on|without|group_left) \([^)]*\)|, agent\)/g, "");
  return (plain.match(/(?<![\w.])[A-Za-z_:][\w:]*/g) ?? []).filter((name) => {
    const base = name.replace(/_(?:bucket|sum|count)$/, "");
    const isHistogram = isMetricName(base) && FAMILIES[base].type === "histogram";
    const exists = isMetricName(name) ? FAMILIES[name].type !== "histogram" : isHistogram;
    return !exists && !FUNCTIONS.includes(name);
  });
}

describe("unknownIn()", () => {
  test.each([
    ['rate(gpu_courier_jobs_ended_total{result="failed"}[5m]) > 1e3', []],
    ["gpu_courier_disc_free_bytes", ["gpu_courier_disc_free_bytes"]],
    ["sum by (le) (gpu_courier_transport_operation_seconds)", ["gpu_courier_transport_operation_seconds"]],
    ["gpu_courier_transport_operation_seconds_bucket", []],
    ["gpu_courier_models_count", ["gpu_courier_models_count"]],
  ])("of %p finds %p", (expression, found) => {
    expect(unknownIn(expression)).toEqual(found);
  });
});

describe("dashboard.json", () => {
  test("has the fields that Grafana needs, panels that do not overlap, and only metrics that exist", async () => {
    const { panels, templating } = Dashboard.parse(JSON.parse(await read("monitoring/dashboard.json")));
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.length).toBeGreaterThan(15);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, at) => `${x + (at % w)} ${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
    const queries = panels.flatMap((panel) => (panel.type === "row" ? [] : panel.targets.map(({ expr }) => expr)));
    expect(queries.flatMap(unknownIn)).toEqual([]);
    expect(unknownIn(templating.list[1].definition)).toEqual([]);
  });
});

describe("alerts.yml", () => {
  test("uses only metrics that exist, and leads to sections of on-call.md", async () => {
    const { rules } = Rules.parse(Bun.YAML.parse(await read("monitoring/alerts.yml"))).groups[0];
    expect(rules.flatMap(({ expr }) => unknownIn(expr))).toEqual([]);
    const headings = [...(await read("on-call.md")).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchor(heading));
    const runbooks = rules.map(({ annotations }) => annotations.runbook.split("#"));
    expect(
      runbooks.filter(([file, heading = ""]) => file !== "docs/on-call.md" || !headings.includes(heading)),
    ).toEqual([]);
  });

  test("has a test for each alert: silent at a time, and firing at another", async () => {
    const { rules } = Rules.parse(Bun.YAML.parse(await read("monitoring/alerts.yml"))).groups[0];
    const { tests } = RuleTests.parse(Bun.YAML.parse(await read("monitoring/alerts_test.yml")));
    const looks = tests.flatMap(({ alert_rule_test }) => alert_rule_test);
    const untested = rules.filter(({ alert }) => {
      const own = looks.filter(({ alertname }) => alertname === alert);
      return !own.some(({ exp_alerts }) => exp_alerts) || own.every(({ exp_alerts }) => exp_alerts);
    });
    expect(untested).toEqual([]);
  });
});

test("the table of protocol.md has every metric, and no other", async () => {
  const text = await read("protocol.md");
  const section = text.slice(text.indexOf("\n## Metrics\n"), text.indexOf("\n## Versions\n"));
  const named = [...section.matchAll(/`((?:gpu_courier|process)_[a-z_]+)`/g)].map(([, name = ""]) => name);
  expect(named.toSorted()).toEqual(METRIC_NAMES.toSorted());
});
