// The state that the fleet is kept in: whether the file is in force, and where the fleet still differs from it.
import type { JSX } from "preact";
import type { DesiredDocument } from "../../documents/models/desired.ts";
import { whereText } from "../models/facts/model_facts.ts";
import { Failure, Panel } from "../parts/panel.tsx";
import { Status, type Tone } from "../parts/status.tsx";
import { Ago, Foreign, plural } from "../parts/text.tsx";
import { useDocument, useLooks } from "../shell/use_document.ts";
import { useFleet, useServerNow } from "../shell/use_fleet.ts";
import { isActive } from "../store/job_facts.ts";
import { DriftTable } from "./drift_table.tsx";

const MOST_NAMED = 80;

/** Absent where gpu-server was started without a file. No event reports drift: it is read again when pulls begin and end. */
export function DriftPanel(): JSX.Element | null {
  const readings = useFleet((fleet) => fleet.readings);
  const active = useFleet((fleet) => fleet.jobs.filter(isActive).length);
  const { document, failure } = useDocument<DesiredDocument>("v1/desired", `${readings} ${active} ${useLooks()}`);
  if (document?.status === "off" || (document === undefined && failure === undefined)) return null;
  return (
    <Panel title="Desired state" class="flush desired" aside={document !== undefined && <Force desired={document} />}>
      {failure !== undefined && <Failure failure={failure} />}
      {document !== undefined && <Compared desired={document} />}
    </Panel>
  );
}

interface DesiredProps {
  readonly desired: DesiredDocument;
}

const WORDS: Readonly<Record<DesiredDocument["status"], readonly [tone: Tone, words: string]>> = {
  off: ["idle", "Off"],
  waiting: ["warn", "No file is in force yet"],
  active: ["good", "In force"],
  standby: ["idle", "In force, kept by another server"],
};

function Force({ desired: { status } }: DesiredProps): JSX.Element {
  const [tone, words] = WORDS[status];
  return <Status tone={tone}>{words}</Status>;
}

function Compared({ desired }: DesiredProps): JSX.Element {
  const { problem, drift, unknown, checked_at: checked } = desired;
  return (
    <>
      <Source desired={desired} />
      {problem !== null && (
        <div class="notice">
          <p>
            <Foreign class="wrapped" text={problem} />
          </p>
          <p class="quiet">
            {checked === null
              ? "Nothing is changed until the file can be read. It is read again when it changes."
              : "The last version without a mistake stays in force. The file is read again when it changes."}
          </p>
        </div>
      )}
      {checked !== null && drift.length === 0 && (
        <p class="small">
          <Status tone="good">Every reporting box has the models that the file names</Status>
        </p>
      )}
      {unknown.length > 0 && <p class="quiet small">{`${whereText(unknown, MOST_NAMED)} away: compared when back`}</p>}
      {drift.length > 0 && <DriftTable drift={drift} />}
    </>
  );
}

function Source({ desired: { file, models, checked_at: checked } }: DesiredProps): JSX.Element | null {
  const nowMs = useServerNow(5_000);
  if (file === null && checked === null) return null;
  return (
    <p class="quiet small">
      {file !== null && (
        <>
          <Foreign class="wrapped" text={file} />
          {`, ${plural(models, "model")}. `}
        </>
      )}
      {checked !== null && (
        <>
          {"Compared "}
          <Ago at={checked} nowMs={nowMs} />
        </>
      )}
    </p>
  );
}
