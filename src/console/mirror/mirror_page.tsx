// The view of the mirror: its models on the share, and the fetches that bring them there.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { formatBytes } from "../../base/format.ts";
import type { FetchDocument, FreedDocument, MirrorDocument } from "../../documents/models/mirror.ts";
import { useModels } from "../models/facts/use_models.ts";
import { PullDialog } from "../models/pulls/pull_dialog.tsx";
import { Action } from "../parts/button.tsx";
import { Failure, Panel } from "../parts/panel.tsx";
import { Foreign, plural } from "../parts/text.tsx";
import { useActing, useConsole } from "../shell/console.ts";
import { useDocument, useLooks } from "../shell/use_document.ts";
import { useFleet, useMayOnAll } from "../shell/use_fleet.ts";
import { useFetches } from "../shell/use_mirror.ts";
import { isActive } from "../store/job_facts.ts";
import { FetchDialog } from "./fetch_dialog.tsx";
import { FetchesPanel } from "./fetches_panel.tsx";
import { type Mirrored, MirroredModels } from "./mirrored_models.tsx";
import { RemoveDialog } from "./remove_dialog.tsx";

type Open = { readonly kind: "fetch" } | { readonly kind: "pull" | "remove"; readonly model: Mirrored };

const NONE: readonly Mirrored[] = [];

export function MirrorPage(): JSX.Element {
  const fetches = useFetches(true);
  const pulling = useFleet((fleet) => fleet.jobs.filter(isActive).length);
  // Fetches and pulls that end change it.
  const version = `${useFleet((fleet) => fleet.readings)} ${lastEndOf(fetches.fetches)} ${pulling} ${useLooks()}`;
  const { document, failure, again } = useDocument<MirrorDocument>("v1/mirror", version);
  const mayFetch = useMayOnAll("pull_model");
  const [open, setOpen] = useState<Open>();
  return (
    <>
      <div class="page-head">
        <h1>Mirror</h1>
        {mayFetch && (
          <button type="button" class="button primary end" onClick={() => setOpen({ kind: "fetch" })}>
            Fetch a model
          </button>
        )}
      </div>
      {failure !== undefined && <Failure failure={failure} />}
      {document !== undefined && <Stored mirror={document} again={again} setOpen={setOpen} />}
      {document === undefined && failure === undefined && <p class="empty">Loading the mirror…</p>}
      <FetchesPanel read={fetches} />
      {open !== undefined && (
        <OpenDialog
          open={open}
          models={document?.models ?? NONE}
          againMirror={again}
          againFetches={fetches.again}
          onClose={() => setOpen(undefined)}
        />
      )}
    </>
  );
}

/** A short fetch is never seen while it runs. */
function lastEndOf(fetches: readonly FetchDocument[]): string {
  return fetches.reduce((last, { finished_at: at }) => (at !== null && at > last ? at : last), "");
}

interface StoredProps {
  readonly mirror: MirrorDocument;
  readonly again: () => Promise<void>;
  readonly setOpen: (open: Open) => void;
}

function Stored({ mirror: { folder, bytes, models, unavailable }, again, setOpen }: StoredProps): JSX.Element {
  const mayCollect = useMayOnAll("delete_model");
  return (
    <Panel title="Models on the share" aside={mayCollect && models.length > 0 && <Collect again={again} />}>
      <p class="quiet small">
        {`${plural(models.length, "model")}, ${formatBytes(bytes)}`}
        {folder !== null && (
          <>
            {" in "}
            <Foreign class="wrapped" text={folder} />
          </>
        )}
      </p>
      {models.length === 0 && (
        <p class="quiet none">The mirror is empty. Fetch a model: every box can then pull it from the share.</p>
      )}
      <MirroredModels
        models={models}
        pull={(model) => setOpen({ kind: "pull", model })}
        remove={(model) => setOpen({ kind: "remove", model })}
      />
      {unavailable !== undefined && unavailable.length > 0 && (
        <p class="quiet small">{`${plural(unavailable.length, "box", "boxes")} not included: not reporting`}</p>
      )}
    </Panel>
  );
}

/** Removes what no model of the mirror needs. The server spares what is new. */
function Collect({ again }: Pick<StoredProps, "again">): JSX.Element {
  const { api, toasts } = useConsole();
  const act = useActing();
  const collect = async (): Promise<void> => {
    await act(async () => {
      const { files, bytes } = await api.post<FreedDocument>("v1/mirror/gc");
      await again();
      toasts.done(
        files === 0 ? "Nothing is left over in the mirror" : `${formatBytes(bytes)} freed: ${plural(files, "file")}`,
      );
    });
  };
  return <Action run={collect}>Remove leftovers</Action>;
}

interface OpenDialogProps {
  readonly open: Open;
  readonly models: readonly Mirrored[];
  readonly againMirror: () => Promise<void>;
  readonly againFetches: () => Promise<void>;
  readonly onClose: () => void;
}

function OpenDialog({ open, models, againMirror, againFetches, onClose }: OpenDialogProps): JSX.Element {
  const known = new Set(models.map(({ name }) => name));
  if (open.kind === "fetch") return <FetchDialog known={known} again={againFetches} onClose={onClose} />;
  if (open.kind === "remove") return <RemoveDialog model={open.model} again={againMirror} onClose={onClose} />;
  return <PullMirrored name={open.model.name} again={againFetches} onClose={onClose} />;
}

interface PullMirroredProps {
  readonly name: string;
  readonly again: () => Promise<void>;
  readonly onClose: () => void;
}

function PullMirrored({ name, again, onClose }: PullMirroredProps): JSX.Element {
  const { models } = useModels();
  const mirror = useMayOnAll("pull_model") ? { again, isChosen: true } : undefined;
  return <PullDialog models={models} names={[name]} mirror={mirror} onClose={onClose} />;
}
