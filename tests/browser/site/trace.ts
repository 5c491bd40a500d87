// What a browser traced of a page: the tasks of its main thread, and how long each took.
import type { Browser, Page } from "playwright-core";

/** Of the processor: on a busy machine other processes take it away in the middle of a task. */
export interface Task {
  readonly cpuMs: number;
  readonly wallMs: number;
  /** The longest script in it, of the processor. */
  readonly scriptMs: number;
  /** What took longest in it. */
  readonly what: string;
}

interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args?: { readonly data?: { readonly url?: string } };
}

const CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline", "v8"];
const TASK = "RunTask";
/** A task with one of these ran a script. */
const SCRIPTS = new Set([
  "FireAnimationFrame",
  "TimerFire",
  "EventDispatch",
  "FunctionCall",
  "RunMicrotasks",
  "EvaluateScript",
  "v8.evaluateModule",
  "v8.compileModule",
  "v8.callFunction",
]);

/** Those in which a script ran; layout and drawing that happened in them count. */
export async function scriptTasks(browser: Browser, page: Page, act: () => Promise<void>): Promise<readonly Task[]> {
  await browser.startTracing(page, { categories: CATEGORIES });
  let traced = "";
  try {
    await act();
  } finally {
    traced = String(await browser.stopTracing());
  }
  const origin = new URL(page.url()).origin;
  const { traceEvents }: { traceEvents: readonly TraceEvent[] } = JSON.parse(traced);
  const threadOf = ({ pid, tid }: TraceEvent): string => `${pid} ${tid}`;
  // The browser has pages of its own, in other processes.
  const own = new Set(traceEvents.filter(({ args }) => args?.data?.url?.startsWith(origin) === true).map(threadOf));
  const events = traceEvents.filter((event) => own.has(threadOf(event)) && event.dur !== undefined);
  const tasks = events.filter(({ name }) => name === TASK).toSorted((a, b) => a.ts - b.ts);
  const inner = events.filter(({ name }) => name !== TASK).toSorted((a, b) => a.ts - b.ts);
  return tasks.flatMap((task) => taskOf(task, within(inner, task)) ?? []);
}

/** In the order of their CPU time. */
export function longest(tasks: readonly Task[], count: number): readonly Task[] {
  return tasks.toSorted((a, b) => b.cpuMs - a.cpuMs).slice(0, count);
}

/** @param sorted by their beginnings */
function within(sorted: readonly TraceEvent[], { ts, dur = 0, pid, tid }: TraceEvent): readonly TraceEvent[] {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.ts ?? ts) < ts) low = middle + 1;
    else high = middle;
  }
  const found: TraceEvent[] = [];
  for (let at = low; (sorted[at]?.ts ?? Number.POSITIVE_INFINITY) < ts + dur; at++) {
    const event = sorted[at];
    if (event !== undefined && event.pid === pid && event.tid === tid) found.push(event);
  }
  return found;
}

function taskOf({ dur = 0, tdur = 0 }: TraceEvent, inner: readonly TraceEvent[]): Task | undefined {
  const scripts = inner.filter(({ name }) => SCRIPTS.has(name)).map(({ tdur: each = 0 }) => each / 1000);
  if (scripts.length === 0) return undefined;
  const parts = inner.toSorted((a, b) => (b.tdur ?? 0) - (a.tdur ?? 0)).slice(0, 4);
  const what = parts.map(({ name, tdur: each = 0 }) => `${name} ${(each / 1000).toFixed(1)}`).join(", ");
  return { cpuMs: tdur / 1000, wallMs: dur / 1000, scriptMs: Math.max(...scripts), what };
}
