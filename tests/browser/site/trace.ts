// What a browser traced of a page: the tasks of its main thread, and how long each took.
import type { Browser, Page } from "playwright-core";

/**
 * All that the browser did before it could do anything else: with scripts usually also the layout and painting of what they
 * changed, and garbage collection. Of the processor: on a busy machine other processes take it away in the middle of a task.
 */
export interface Task {
  readonly cpuMs: number;
  readonly wallMs: number;
  /** The longest script in it, of the processor. */
  readonly scriptMs: number;
  /** What it was made of, the longest first: `scripts 9.7, layout 7.5`. */
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

/** By the names of events; the rest is the browser's own. */
const KINDS: readonly (readonly [kind: string, names: RegExp])[] = [
  ["garbage", /^V8\.GC|GC$/],
  ["layout", /^(?:UpdateLayoutTree|Layout|HitTest|IntersectionObserver.*)$/],
  ["painting", /^(?:PrePaint|Paint|Layerize|UpdateLayer|Commit)$/],
  [
    "scripts",
    /^(?:v8\..*|V8\..*|FunctionCall|FireAnimationFrame|TimerFire|EventDispatch|RunMicrotasks|EvaluateScript)$/,
  ],
];

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

function taskOf(task: TraceEvent, inner: readonly TraceEvent[]): Task | undefined {
  const scripts = inner.filter(({ name }) => SCRIPTS.has(name)).map(({ tdur: each = 0 }) => each / 1000);
  if (scripts.length === 0) return undefined;
  const parts = [...ownTimes([task, ...inner])].toSorted(([, a], [, b]) => b - a);
  const what = parts.map(([kind, ms]) => `${kind} ${ms.toFixed(1)}`).join(", ");
  return { cpuMs: (task.tdur ?? 0) / 1000, wallMs: (task.dur ?? 0) / 1000, scriptMs: Math.max(...scripts), what };
}

/** In ms, by kind: each event without those in it. @param events each before those in it */
function ownTimes(events: readonly TraceEvent[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  const add = ({ name }: TraceEvent, us: number): void => {
    const [kind] = KINDS.find(([, names]) => names.test(name)) ?? ["other"];
    times.set(kind, (times.get(kind) ?? 0) + us / 1000);
  };
  const open: TraceEvent[] = [];
  for (const event of events.toSorted((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0))) {
    while (endOf(open.at(-1)) < endOf(event)) open.pop();
    const around = open.at(-1);
    if (around !== undefined) add(around, -(event.tdur ?? 0));
    add(event, event.tdur ?? 0);
    open.push(event);
  }
  return times;
}

/** Of none: later than all. */
function endOf(event: TraceEvent | undefined): number {
  return event === undefined ? Number.POSITIVE_INFINITY : event.ts + (event.dur ?? 0);
}
