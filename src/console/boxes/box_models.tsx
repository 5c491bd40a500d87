// The models of one box: those on its disk, and those in its memory, which can be unloaded.
import type { JSX } from "preact";
import { formatBytes, formatUntil } from "../../base/format.ts";
import type { AgentDocument } from "../../documents/agents.ts";
import type { ModelsDocument } from "../../documents/models.ts";
import type { UnloadedDocument } from "../../documents/outcomes.ts";
import type { RunningDocument } from "../../documents/running.ts";
import { Action } from "../parts/button.tsx";
import { countText } from "../parts/local_text.ts";
import { Failure, Panel } from "../parts/panel.tsx";
import { Ago, Foreign, plural, Size } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useDocument } from "../shell/use_document.ts";
import { useFleet, useMay, useServerNow } from "../shell/use_fleet.ts";
import { isAway } from "./box_status.ts";

interface BoxProps {
  readonly box: AgentDocument;
}

export function BoxRunning({ box }: BoxProps): JSX.Element | null {
  const { agent } = box;
  const { api } = useConsole();
  const act = useActing();
  const mayUnload = useMay("unload_model") && !isAway(box);
  const version = useFleet((fleet) => fleet.listVersion(agent));
  const { document, failure, again } = useDocument<RunningDocument>(
    `v1/agents/${agent}/running?last_known=true`,
    version,
  );
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

export function BoxModels({ box: { agent } }: BoxProps): JSX.Element {
  const version = useFleet((fleet) => fleet.listVersion(agent));
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
      <ul class="list">
        {models.map(({ name, size, details, modified_at: modified, digest }) => (
          <li key={`${name} ${digest}`}>
            <div class="grow">
              <Foreign class="strong" text={name} />
              <Foreign
                class="quiet detail"
                text={[details?.family, details?.parameter_size, details?.quantization_level]
                  .filter(Boolean)
                  .join(", ")}
              />
            </div>
            <span class="quiet age">
              <Ago at={modified} nowMs={nowMs} />
            </span>
            <Size bytes={size} />
          </li>
        ))}
      </ul>
    </Panel>
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
