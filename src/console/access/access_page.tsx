// The view of access: the tokens of the server, and the log of changes.
import type { JSX } from "preact";
import { useMay } from "../shell/use_fleet.ts";
import { AuditPanel } from "./audit_panel.tsx";
import { TokensPanel } from "./tokens_panel.tsx";

export function AccessPage(): JSX.Element {
  const [mayManage, mayAudit] = [useMay("manage_tokens"), useMay("read_audit")];
  return (
    <>
      <div class="page-head">
        <h1>Access</h1>
      </div>
      {mayManage ? (
        <TokensPanel />
      ) : (
        <p class="notice">
          {"Tokens are managed on the server's machine, with "}
          <code>gpu-server token</code>
          {". Here only with "}
          <code>--manage-tokens</code>
          {" and an own token of the role gp."}
        </p>
      )}
      {mayAudit && <AuditPanel />}
    </>
  );
}
