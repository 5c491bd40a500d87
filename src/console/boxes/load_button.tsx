// The button that loads a model into the memory of its box, before anybody uses it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { LoadedDocument } from "../../documents/running.ts";
import { Action } from "../parts/button.tsx";
import { useActing, useConsole } from "../shell/console.ts";

interface LoadButtonProps {
  readonly agent: string;
  readonly model: string;
  readonly isLoaded: boolean;
  /** Reads what is in the memory again. */
  readonly again: () => Promise<void>;
}

/** Keeps its place while the model is in memory: the figures beside it stay in one column. */
export function LoadButton({ agent, model, isLoaded, again }: LoadButtonProps): JSX.Element {
  const { api } = useConsole();
  const act = useActing();
  const [isLoading, setLoading] = useState(false);
  const load = async (): Promise<void> => {
    setLoading(true);
    await act(async () => {
      await api.post<LoadedDocument>(`v1/agents/${agent}/models/${encodeURIComponent(model)}/load`);
      await again();
    }, `${model} is loaded on ${agent}`);
    setLoading(false);
  };
  if (isLoaded && !isLoading) return <span class="load quiet">In memory</span>;
  return (
    <span class="load">
      <Action run={load} label={`Load ${model}`}>
        {isLoading ? "Loading…" : "Load"}
      </Action>
    </span>
  );
}
