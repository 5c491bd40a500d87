// The models of one box: those on its disk, which can be loaded, and those in its memory, which can be unloaded.
import type { ComponentChildren, JSX } from "preact";
import { formatBytes, formatUntil } from "../../base/format.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import type { ModelsDocument } from "../../documents/models.ts";
import type { UnloadedDocument } from "../../documents/outcomes.ts";
import type { RunningDocument } from "../../documents/running.ts";
import { refusalOf } from "../models/facts/room.ts";
import { Action } from "../parts/button.tsx";
import { countText } from "../parts/local_text.ts";
import { Failure, Panel } from "../parts/panel.tsx";
import { Ago, Foreign, plural, Size } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { type Read, useDocument } from "../shell/use_document.ts";
import { useFleet, useMay, useServerNow } from "../shell/use_fleet.ts";
import { isAway } from "./box_status.ts";
import { LoadButton } from "./load_button.tsx";

interface BoxProps {
  readonly box: AgentDocument;
}

export function BoxLists({ box }: BoxProps): JSX.Element {
  const { agent } = box;
  const version = useFleet((fleet) => fleet.listVersion(agent));
  const running = useDocument<RunningDocument>(`v1/agents/${agent}/running?last_known=true`, version);
  return (
    <>
      <BoxRunning box={box} read={running} />
      <BoxModels box={box} running={running} version={version} />
    </>
  );
}

interface BoxRunningProps extends BoxProps {
  readonly read: Read<RunningDocument>;
}

function BoxRunning({ box, read: { document, failure, again } }: BoxRunningProps): JSX.Element | null {
  const { agent } = box;
  const { api } = useConsole();
  const act = useActing();
  const mayUnload = useMay("unload_model") && !isAway(box);
  const running = document?.running ?? [];
  const unload = async (model: string): Promise<void> => {
    await act(async () => {
      await api.post<UnloadedDocument>(`v1/agents/${agent}/models/${encodeURIComponent(model)}/unload`);
      await again();
    }, `${model} is unloaded from ${agent}`);
  };
  return (
    <Panel
      title="In memory"
      aside={<Count count={plural(running.length, "model")} isOld={document?.unavailable !== undefined} />}
    >
      {failure !== undefined && <Failure failure={failure} />}
      {document !== undefined && running.length === 0 && <p class="quiet none">No model is loaded.</p>}
      <ul class="list">
        {running.map((model) => (
          <RunningItem key={model.name} model={model} unload={mayUnload ? unload : undefined} />
        ))}
      </ul>
    </Panel>
  );
}

interface RunningItemProps {
  readonly model: RunningDocument["running"][number];
  /** Undefined: this user may not, or the box is away. */
  readonly unload: ((model: string) => Promise<void>) | undefined;
}

function RunningItem({ model, unload }: RunningItemProps): JSX.Element {
  const { name, size, size_vram: vram, expires_at: expires, context_length: context } = model;
  const nowMs = useServerNow(5_000);
  return (
    <li>
      <div class="grow">
        <Foreign class="strong" text={name} />
        <span class="quiet detail">
          {gpuShare(size, vram)}
          {context !== undefined && `, context of ${countText(context)} tokens`}
          {`, ${unloadsAt(expires, nowMs)}`}
        </span>
      </div>
      <Size bytes={size} />
      {unload !== undefined && (
        <Action run={async () => await unload(name)} label={`Unload ${name}`}>
          Unload
        </Action>
      )}
    </li>
  );
}

interface BoxModelsProps extends BoxProps {
  readonly running: Read<RunningDocument>;
  readonly version: number;
}

function BoxModels({ box, running, version }: BoxModelsProps): JSX.Element {
  const { agent } = box;
  const mayLoad = useMay("load_model") && refusalOf(box) === undefined && running.document !== undefined;
  const loaded = new Set(running.document?.running.map(({ name }) => name));
  const { document, failure } = useDocument<ModelsDocument>(`v1/agents/${agent}/models?last_known=true`, version);
  const nowMs = useServerNow(60_000);
  const models = document?.models ?? [];
  const bytes = models.reduce((sum, { size }) => sum + size, 0);
  return (
    <Panel
      title="Models"
      aside={
        <Count
          count={`${plural(models.length, "model")}, ${formatBytes(bytes)}`}
          isOld={document?.unavailable !== undefined}
        />
      }
    >
      {failure !== undefined && <Failure failure={failure} />}
      {document !== undefined && models.length === 0 && <p class="quiet none">No model is installed.</p>}
      <ul class="list box-models">
        {models.map((model) => (
          <ModelItem key={`${model.name} ${model.digest}`} model={model} nowMs={nowMs}>
            {mayLoad && model.remote_host === undefined && (
              <LoadButton agent={agent} model={model.name} isLoaded={loaded.has(model.name)} again={running.again} />
            )}
          </ModelItem>
        ))}
      </ul>
    </Panel>
  );
}

interface ModelItemProps {
  readonly model: ModelsDocument["models"][number];
  readonly nowMs: number;
  readonly children: ComponentChildren;
}

function ModelItem({ model, nowMs, children }: ModelItemProps): JSX.Element {
  const { name, size, details, modified_at: modified } = model;
  const facts = [details?.family, details?.parameter_size, details?.quantization_level];
  return (
    <li>
      <div class="grow">
        <Foreign class="strong" text={name} />
        <Foreign class="quiet detail" text={facts.filter(Boolean).join(", ")} />
      </div>
      <span class="quiet age">
        <Ago at={modified} nowMs={nowMs} />
      </span>
      <Size bytes={size} />
      {children}
    </li>
  );
}

/** @param isOld the box could not answer: this is what it last published */
function Count({ count, isOld }: { readonly count: string; readonly isOld: boolean }): JSX.Element {
  return <span class="quiet">{isOld ? `${count}, as last reported` : count}</span>;
}

/** `unloads in 4 minutes` */
function unloadsAt(expires: string, nowMs: number): string {
  const until = formatUntil(expires, nowMs);
  if (until === "forever") return "stays loaded";
  return until.endsWith(" from now") ? `unloads in ${until.replace(" from now", "")}` : `unloads ${until}`;
}

function gpuShare(size: number, vram: number): string {
  if (size === 0 || vram >= size) return "on the GPU";
  return vram === 0 ? "on the CPU" : `${Math.round((100 * vram) / size)} % on the GPU`;
}
