// How to add a box to this site, with its commands to copy.
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { CopyText } from "../parts/copy_button.tsx";
import { Failure, Panel } from "../parts/panel.tsx";
import { Foreign } from "../parts/text.tsx";
import { addressOf } from "../shell/router.ts";
import { useDocument } from "../shell/use_document.ts";
import { useFleet } from "../shell/use_fleet.ts";

interface Setup {
  readonly version: string;
  readonly share: string;
  readonly transport: string | null;
  readonly trusted_keys: readonly string[];
  readonly commands: readonly string[];
}

export function AddBox(): JSX.Element {
  const { document: setup, failure } = useDocument<Setup>(
    "v1/setup",
    useFleet((fleet) => fleet.readings),
  );
  return (
    <Panel title="Add a box">
      {failure !== undefined && <Failure failure={failure} />}
      {setup !== undefined && <Steps setup={setup} />}
    </Panel>
  );
}

function Steps({ setup }: { readonly setup: Setup }): JSX.Element {
  const { version, trusted_keys: keys, commands } = setup;
  return (
    <ol class="steps">
      <Reach {...setup} />
      <li>
        <h3>Unpack the release there</h3>
        <p>
          {"Version "}
          <code>{version}</code>
          {" like this server, or any other version: they work together. Open a shell in its folder."}
        </p>
      </li>
      <li>
        <h3>Run the commands</h3>
        <p>
          {keys.length === 0
            ? "Safe to rerun. This server does not sign its commands."
            : "Safe to rerun. The box takes only commands that this server signed."}
        </p>
        <Commands commands={commands} />
      </li>
      <li>
        <h3>The box appears by itself</h3>
        <NewBoxes />
      </li>
    </ol>
  );
}

/** How the machine reaches the site. */
function Reach({ share, transport }: Pick<Setup, "share" | "transport">): JSX.Element {
  const [title, before, after] =
    transport === null
      ? [
          "Mount the share on the GPU machine",
          "This server mounts it at ",
          ". If the machine mounts it elsewhere, change the path in the commands below.",
        ]
      : [
          "Let the GPU machine connect to NATS",
          "This server uses ",
          ". If NATS asks for credentials, the machine needs its own.",
        ];
  return (
    <li>
      <h3>{title}</h3>
      <p>
        {before}
        <code>
          <Foreign class="wrapped" text={share} />
        </code>
        {after}
      </p>
    </li>
  );
}

function Commands({ commands }: Pick<Setup, "commands">): JSX.Element {
  return (
    <>
      {commands.map((command, index) => (
        <CopyText key={command} text={command} what={`command ${index + 1}`} />
      ))}
      {commands.length > 1 && (
        <details>
          <summary>Copy all</summary>
          <CopyText text={commands.join("\n")} what="all commands" />
        </details>
      )}
    </>
  );
}

/** Those that came while this page is open. */
function NewBoxes(): JSX.Element {
  const contact = useFleet((fleet) => fleet.contact);
  const boxes = useFleet((fleet) => fleet.agents);
  const before = useRef<ReadonlySet<string> | undefined>(undefined);
  if (before.current === undefined && contact === "live") before.current = new Set(boxes.map(({ agent }) => agent));
  const fresh = boxes.filter(({ agent }) => before.current?.has(agent) === false);
  return (
    <div role="status">
      {fresh.length === 0 ? (
        <p class="quiet">No new box yet. It appears here when its gpu-agent reports.</p>
      ) : (
        <ul class="new-boxes">
          {fresh.map(({ agent }) => (
            <li key={agent}>
              <a class="strong" href={addressOf("boxes", agent)}>
                {agent}
              </a>
              {" has joined."}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
