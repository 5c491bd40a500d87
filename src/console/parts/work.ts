// Work on many things, a few at a time, and how far it is.
import { useState } from "preact/hooks";
import { asCourierError, type CourierError } from "../../base/errors.ts";

const AT_A_TIME = 6;

export interface Outcome<Item, Value> {
  readonly item: Item;
  readonly value?: Value;
  readonly failure?: CourierError;
}

/** Never fails: each outcome has its failure. @param seen called after each, with the number that are done */
export async function workThrough<Item, Value>(
  items: readonly Item[],
  work: (item: Item) => Promise<Value>,
  seen: (done: number) => void = () => undefined,
): Promise<readonly Outcome<Item, Value>[]> {
  const outcomes: Outcome<Item, Value>[] = [];
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      const taken = item;
      outcomes.push(
        await work(taken).then(
          (value) => ({ item: taken, value }),
          (error: unknown) => ({ item: taken, failure: asCourierError(error) }),
        ),
      );
      seen(outcomes.length);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
  return outcomes;
}

/** @throws CourierError the first one, when all have failed */
export function failuresOf(outcomes: readonly Outcome<unknown, unknown>[]): readonly CourierError[] {
  const failures = outcomes.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
  const [first] = failures;
  if (first !== undefined && failures.length === outcomes.length) throw first;
  return failures;
}

interface Attempt {
  readonly isRunning: boolean;
  /** Of the last attempt. */
  readonly failure: CourierError | undefined;
  readonly start: (run: () => Promise<void>) => Promise<void>;
}

/** One attempt at a time, whose failure is kept to be shown. */
export function useAttempt(): Attempt {
  const [isRunning, setRunning] = useState(false);
  const [failure, setFailure] = useState<CourierError>();
  const start = async (run: () => Promise<void>): Promise<void> => {
    if (isRunning) return;
    setRunning(true);
    setFailure(undefined);
    await run().catch((error: unknown) => setFailure(asCourierError(error)));
    setRunning(false);
  };
  return { isRunning, failure, start };
}
