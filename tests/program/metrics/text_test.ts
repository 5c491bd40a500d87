// The text format of metrics, and histograms in it.
import { describe, expect, test } from "bun:test";
import { FAMILIES, METRIC_NAMES } from "#src/program/metrics/families.ts";
import { Histogram } from "#src/program/metrics/histogram.ts";
import { labelsOf, MetricsText } from "#src/program/metrics/text.ts";

describe("MetricsText", () => {
  test("writes the series of a metric together, under its help and type, whatever the order of add()", () => {
    const text = new MetricsText();
    text.add("gpu_courier_models", labelsOf({ agent: "gpu-1" }), 3);
    text.add("gpu_courier_agent_up", labelsOf({ agent: "gpu-1" }), true);
    text.add("gpu_courier_models", labelsOf({ agent: "gpu-2" }), 0.5);
    text.addOne("gpu_courier_transport_up", false);
    expect(text.toString()).toBe(
      [
        "# HELP gpu_courier_transport_up Whether the share can be read.",
        "# TYPE gpu_courier_transport_up gauge",
        "gpu_courier_transport_up 0",
        "# HELP gpu_courier_agent_up Whether the agent of a box is online.",
        "# TYPE gpu_courier_agent_up gauge",
        'gpu_courier_agent_up{agent="gpu-1"} 1',
        "# HELP gpu_courier_models Installed models.",
        "# TYPE gpu_courier_models gauge",
        'gpu_courier_models{agent="gpu-1"} 3',
        'gpu_courier_models{agent="gpu-2"} 0.5',
        "",
      ].join("\n"),
    );
  });

  test("has help in one line for each metric, and names without colons", () => {
    for (const name of METRIC_NAMES) {
      expect(name).toMatch(/^(?:gpu_courier|process)_[a-z_]+$/);
      expect(FAMILIES[name].help).toMatch(/^[A-Z0-9][^\n\\]+\.$/);
      expect([name, FAMILIES[name].type === "counter"]).toEqual([name, name.endsWith("_total")]);
    }
  });
});

describe("labelsOf()", () => {
  test.each([
    ['say "hi"', 'say \\"hi\\"'],
    ["a\\b", "a\\\\b"],
    ["two\nlines", "two lines"],
    ["no\u0000end", "no?end"],
    ["right\u202eleft", "right?left"],
    ["half \ud800", "half \ufffd"],
    ["x".repeat(1000), "x".repeat(128)],
    ["grün", "grün"],
  ])("writes %j so that nothing of it leaves the label", (value, shown) => {
    expect(labelsOf({ model: value, gpu: "0" })).toBe(`model="${shown}",gpu="0"`);
  });
});

describe("Histogram", () => {
  test("counts each duration in every bucket that is large enough", () => {
    const histogram = new Histogram("gpu_courier_transport_operation_seconds", [0.1, 1]);
    for (const seconds of [0.05, 0.1, 0.5, 7]) histogram.observe({ operation: "send" }, seconds);
    histogram.observe({ operation: "withdraw" }, 0.1);
    const text = new MetricsText();
    histogram.writeTo(text);
    const series = text.toString().split("\n").slice(2, 7);
    expect(series).toEqual([
      'gpu_courier_transport_operation_seconds_bucket{operation="send",le="0.1"} 2',
      'gpu_courier_transport_operation_seconds_bucket{operation="send",le="1"} 3',
      'gpu_courier_transport_operation_seconds_bucket{operation="send",le="+Inf"} 4',
      'gpu_courier_transport_operation_seconds_sum{operation="send"} 7.65',
      'gpu_courier_transport_operation_seconds_count{operation="send"} 4',
    ]);
    expect(text.toString()).toContain('_count{operation="withdraw"} 1\n');
  });

  test("does not grow without end when labels have more values than they should", () => {
    const histogram = new Histogram("gpu_courier_transport_operation_seconds", [1]);
    for (let each = 0; each < 5_000; each++) histogram.observe({ operation: `invented-${each}` }, 1);
    const text = new MetricsText();
    histogram.writeTo(text);
    expect(text.toString().match(/_count/g)).toHaveLength(1_000);
  });
});
