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
  readonly trusted_keys: readonly string[];
  readonly commands: readonly string[];
}

export function AddBox(): JSX.Element {
  const { document: setup, failure } = useDocument<Setup>("v1/setup", 1);
  return (
    <Panel title="Add a box">
      {failure !== undefined && <Failure failure={failure} />}
      {setup !== undefined && <Steps setup={setup} />}
    </Panel>
  );
}

function Steps({ setup: { version, share, trusted_keys: keys, commands } }: { readonly setup: Setup }): JSX.Element {
  return (
    <ol class="steps">
      <li>
        <h3>Mount the share on the GPU machine</h3>
        <p>
          {"This server has it at "}
          <code>
            <Foreign class="wrapped" text={share} />
          </code>
          {". Where the machine has it elsewhere, change the path in the commands below."}
        </p>
      </li>
      <li>
        <h3>Unpack the release there</h3>
        <p>
          {"Version "}
          <code>{version}</code>
          {" as this server, or any other: old and new ones work together. Open a shell in its folder."}
        </p>
      </li>
      <li>
        <h3>Run the commands</h3>
        <p>
          {keys.length === 0
            ? "They can be run again. This server does not sign its commands."
            : "They can be run again. The box takes only commands that this server signed."}
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

function Commands({ commands }: Pick<Setup, "commands">): JSX.Element {
  return (
    <>
      {commands.map((command, index) => (
        <CopyText key={command} text={command} what={`command ${index + 1}`} />
      ))}
      {commands.length > 1 && (
        <details>
          <summary>All in one text</summary>
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
        <p class="quiet">Nothing new yet. It is shown here as soon as its gpu-agent has reported.</p>
      ) : (
        <ul class="new-boxes">
          {fresh.map(({ agent }) => (
            <li key={agent}>
              <a class="strong" href={addressOf("boxes", agent)}>
                {agent}
              </a>
              {" is here."}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
