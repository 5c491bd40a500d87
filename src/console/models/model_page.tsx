// One model: what it is, every box that has it, and what can be done with it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import { Action } from "../parts/button.tsx";
import { Facts, Failure, Panel } from "../parts/panel.tsx";
import { Ago, Foreign, plural } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { addressOf } from "../shell/router.ts";
import { useMay, useServerNow } from "../shell/use_fleet.ts";
import { CopyDialog } from "./copy_dialog.tsx";
import { DeleteDialog } from "./delete_dialog.tsx";
import type { FleetModel } from "./facts/model_facts.ts";
import { type ActiveModels, PURPOSES, type Purpose, useActiveModels } from "./facts/purposes.ts";
import { type Models } from "./facts/use_models.ts";
import { ModelBoxes } from "./model_boxes.tsx";
import { PullDialog } from "./pulls/pull_dialog.tsx";
import { PullsNow } from "./pulls/pulls_now.tsx";

interface ModelPageProps {
  readonly name: string;
  /** Undefined: the first one of this name. */
  readonly digest: string | undefined;
  readonly read: Models;
}

export function ModelPage({ name, digest, read }: ModelPageProps): JSX.Element {
  const { models, isRead, failure, again } = read;
  const active = useActiveModels();
  const model = models.find((each) => each.name === name && (digest === undefined || each.digest === digest));
  return (
    <>
      <div class="page-head box-head">
        <a class="up" href={addressOf("models")}>
          Models
        </a>
        <h1>
          <Foreign class="wrapped" text={name} />
        </h1>
        {model !== undefined && <ModelActions model={model} all={models} active={active.document} again={again} />}
      </div>
      {failure !== undefined && <Failure failure={failure} />}
      <PullsNow model={name} />
      {model === undefined ? (
        <p class="empty">{isRead ? "No box has this model." : "Loading models…"}</p>
      ) : (
        <div class="columns">
          <ModelBoxes model={model} />
          <div class="column side">
            <Details model={model} />
            {active.document !== undefined && <Uses name={name} active={active.document} again={active.again} />}
          </div>
        </div>
      )}
    </>
  );
}

interface ModelActionsProps {
  readonly model: FleetModel;
  readonly all: readonly FleetModel[];
  readonly active: ActiveModels | undefined;
  readonly again: () => Promise<void>;
}

function ModelActions({ model, all, active, again }: ModelActionsProps): JSX.Element {
  const [mayPull, mayDelete, mayCopy] = [useMay("pull_model"), useMay("delete_model"), useMay("copy_model")];
  const [open, setOpen] = useState<"pull" | "delete" | "copy">();
  const close = (): void => setOpen(undefined);
  return (
    <div class="head-actions">
      {mayPull && (
        <button type="button" class="button" onClick={() => setOpen("pull")}>
          Pull on more boxes
        </button>
      )}
      {mayCopy && (
        <button type="button" class="button" onClick={() => setOpen("copy")}>
          Copy
        </button>
      )}
      {mayDelete && (
        <button type="button" class="button danger" onClick={() => setOpen("delete")}>
          Delete
        </button>
      )}
      {open === "pull" && <PullDialog models={all} names={[model.name]} onClose={close} />}
      {open === "copy" && <CopyDialog model={model} again={again} onClose={close} />}
      {open === "delete" && <DeleteDialog deleted={[model]} all={all} active={active} again={again} onClose={close} />}
    </div>
  );
}

function Details({ model }: { readonly model: FleetModel }): JSX.Element {
  const { size, digest, details, capabilities = [], modified_at: modified, agents } = model;
  const nowMs = useServerNow(60_000);
  const text = (value: string | undefined): JSX.Element | null => (value ? <Foreign text={value} /> : null);
  return (
    <Panel title="Details">
      <Facts
        facts={[
          ["Size", formatBytes(size)],
          ["On all boxes", agents.length > 1 ? formatBytes(size * agents.length) : null],
          ["Family", text(details?.family)],
          ["Parameters", text(details?.parameter_size)],
          ["Quantization", text(details?.quantization_level)],
          ["Capabilities", text(capabilities.join(", "))],
          ["Installed", <Ago at={modified} nowMs={nowMs} />],
          ["Runs on", text(model.remote_host)],
          ["Digest", <code>{digest.slice(0, 12)}</code>],
        ]}
      />
    </Panel>
  );
}

interface UsesProps {
  readonly name: string;
  readonly active: ActiveModels;
  readonly again: () => Promise<void>;
}

function Uses({ name, active, again }: UsesProps): JSX.Element {
  const { api } = useConsole();
  const act = useActing();
  const maySet = useMay("set_active_models");
  const set = async (purpose: Purpose): Promise<void> => {
    await act(async () => {
      await api.post("v1/active-models", { type: purpose, model: name });
      await again();
    }, `${name} is now the model for ${purpose}`);
  };
  const uses = PURPOSES.filter(([purpose]) => active[purpose] === name).length;
  return (
    <Panel title="Active for" aside={<span class="quiet">{uses === 0 ? "nothing" : plural(uses, "purpose")}</span>}>
      <ul class="purposes">
        {PURPOSES.map(([purpose, title]) => (
          <li key={purpose}>
            <span>{title}</span>
            {active[purpose] === name ? (
              <span class="strong">this model</span>
            ) : (
              <Foreign class="quiet" text={active[purpose] ?? "none"} />
            )}
            {maySet && active[purpose] !== name && (
              <Action run={async () => await set(purpose)} label={`Set for ${purpose}`}>
                Set
              </Action>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
