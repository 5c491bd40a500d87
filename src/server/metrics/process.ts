// What this process needs: the metrics that every Prometheus client has. Those of descriptors only on Linux.
import { readdirSync, readFileSync } from "node:fs";
import type { MetricsText } from "../../program/metrics/text.ts";

export function addProcess(text: MetricsText): void {
  const { user, system } = process.cpuUsage();
  text.addOne("process_cpu_seconds_total", (user + system) / 1e6);
  text.addOne("process_resident_memory_bytes", process.memoryUsage.rss());
  text.addOne("process_start_time_seconds", performance.timeOrigin / 1000);
  if (process.platform !== "linux") return;
  text.addOne("process_open_fds", readdirSync("/proc/self/fd").length);
  const most = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  if (most !== undefined) text.addOne("process_max_fds", Number(most));
}
