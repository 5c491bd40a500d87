// The view of access: the tokens of the server, and the log of changes.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useMay } from "../shell/use_fleet.ts";
import { AuditPanel } from "./audit_panel.tsx";
import { TokensPanel } from "./tokens_panel.tsx";
import { WebhooksPanel } from "./webhooks_panel.tsx";

export function AccessPage(): JSX.Element {
  const [changes, setChanges] = useState(0);
  const [mayManage, mayAudit] = [useMay("manage_tokens"), useMay("read_audit")];
  return (
    <>
      <div class="page-head">
        <h1>Access</h1>
      </div>
      {mayManage ? (
        <TokensPanel changed={() => setChanges((before) => before + 1)} />
      ) : (
        <p class="notice">
          {"Tokens are managed on the server's machine, with "}
          <code>gpu-server token</code>
          {". To manage them here, start gpu-server with "}
          <code>--manage-tokens</code>
          {" and sign in with a gp token of its own."}
        </p>
      )}
      {mayAudit && <WebhooksPanel />}
      {mayAudit && <AuditPanel changes={changes} />}
    </>
  );
}
