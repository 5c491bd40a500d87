// One model: what it is, every box that has it, and what can be done with it.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import type { UpdateDocument } from "../../documents/models/updates.ts";
import { Action } from "../parts/button.tsx";
import { Facts, Failure, Panel } from "../parts/panel.tsx";
import { Ago, Foreign, plural } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { addressOf } from "../shell/router.ts";
import type { Read } from "../shell/use_document.ts";
import { useFleet, useMay, useServerNow } from "../shell/use_fleet.ts";
import { CopyDialog } from "./copy_dialog.tsx";
import { DeleteDialog } from "./delete_dialog.tsx";
import { type FleetModel, keyOf } from "./facts/model_facts.ts";
import { type ActiveModels, PURPOSES, type Purpose, useActiveModels } from "./facts/purposes.ts";
import { type Models } from "./facts/use_models.ts";
import { ModelBoxes } from "./model_boxes.tsx";
import { type MirrorChoice, PullDialog } from "./pulls/pull_dialog.tsx";
import { PullsNow } from "./pulls/pulls_now.tsx";
import { type Compared, outdatedOf } from "./updates/newer.ts";
import { UpdateDialog } from "./updates/update_dialog.tsx";
import type { Updates } from "./updates/use_updates.ts";

interface ModelPageProps {
  readonly name: string;
  /** Undefined: the first one of this name. */
  readonly digest: string | undefined;
  readonly read: Models;
  readonly updates: Updates;
  readonly mirror: MirrorChoice | undefined;
}

export function ModelPage({ name, digest, read, updates, mirror }: ModelPageProps): JSX.Element {
  const { models, isRead, failure, again } = read;
  const active = useActiveModels();
  const named = models.filter((each) => each.name === name);
  // After an update it has another digest.
  const model = named.find((each) => each.digest === digest) ?? named[0];
  return (
    <>
      <div class="page-head box-head">
        <a class="up" href={addressOf("models")}>
          Models
        </a>
        <h1>
          <Foreign class="wrapped" text={name} />
        </h1>
        {model !== undefined && (
          <ModelActions
            model={model}
            all={models}
            compared={updates.compared}
            active={active.document}
            mirror={mirror}
            again={again}
          />
        )}
      </div>
      {failure !== undefined && <Failure failure={failure} />}
      <PullsNow model={name} />
      {model === undefined ? (
        <p class="empty">{isRead ? "No box has this model." : "Loading models…"}</p>
      ) : (
        <About model={model} compared={updates.compared} active={active} />
      )}
    </>
  );
}

interface AboutProps {
  readonly model: FleetModel;
  readonly compared: Compared;
  readonly active: Read<ActiveModels>;
}

function About({ model, compared, active: { document, again } }: AboutProps): JSX.Element {
  return (
    <div class="columns">
      <ModelBoxes model={model} />
      <div class="column side">
        <Details model={model} update={compared.get(keyOf(model))} />
        {document !== undefined && <Uses name={model.name} active={document} again={again} />}
      </div>
    </div>
  );
}

interface ModelActionsProps {
  readonly model: FleetModel;
  readonly all: readonly FleetModel[];
  readonly compared: Compared;
  readonly active: ActiveModels | undefined;
  readonly mirror: MirrorChoice | undefined;
  readonly again: () => Promise<void>;
}

function ModelActions({ model, all, compared, active, mirror, again }: ModelActionsProps): JSX.Element {
  const [mayPull, mayDelete, mayCopy] = [useMay("pull_model"), useMay("delete_model"), useMay("copy_model")];
  const [open, setOpen] = useState<"pull" | "update" | "delete" | "copy">();
  const outdated = outdatedOf(
    [model],
    compared,
    useFleet((fleet) => fleet.jobs),
  );
  const close = (): void => setOpen(undefined);
  return (
    <div class="head-actions">
      {mayPull && outdated.length > 0 && (
        <button type="button" class="button" onClick={() => setOpen("update")}>
          Update
        </button>
      )}
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
      {open === "pull" && <PullDialog models={all} names={[model.name]} mirror={mirror} onClose={close} />}
      {open === "update" && <UpdateDialog outdated={outdated} onClose={close} />}
      {open === "copy" && <CopyDialog model={model} again={again} onClose={close} />}
      {open === "delete" && <DeleteDialog deleted={[model]} all={all} active={active} again={again} onClose={close} />}
    </div>
  );
}

interface DetailsProps {
  readonly model: FleetModel;
  /** Undefined: it was not compared, or not yet. */
  readonly update: UpdateDocument | undefined;
}

function Details({ model, update }: DetailsProps): JSX.Element {
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
          ["At its registry", update && <RegistryWords update={update} nowMs={nowMs} />],
          ["Runs on", text(model.remote_host)],
          ["Digest", <code>{digest.slice(0, 12)}</code>],
        ]}
      />
    </Panel>
  );
}

interface RegistryWordsProps {
  readonly update: UpdateDocument;
  readonly nowMs: number;
}

function RegistryWords({ update, nowMs }: RegistryWordsProps): JSX.Element {
  const { state, checked_at: checked, reason, registry_size: size } = update;
  const words = {
    current: "The same version",
    outdated: `A newer version, ${formatBytes(size ?? 0)}`,
    local: "Not there: a copy, or built on a box",
    unknown: `Unknown: ${reason ?? "no reason given"}`,
  }[state];
  return (
    <>
      <Foreign class="wrapped" text={words} />
      <span class="quiet detail">
        {"Checked "}
        <Ago at={checked} nowMs={nowMs} />
      </span>
    </>
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
