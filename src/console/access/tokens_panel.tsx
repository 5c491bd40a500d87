// The tokens of the server: listed, added and revoked.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Failure, Panel } from "../parts/panel.tsx";
import { sorted } from "../parts/sorted.ts";
import { Table } from "../parts/table.tsx";
import { useMedia } from "../parts/use_store.ts";
import { type Read, useDocument, useLooks } from "../shell/use_document.ts";
import { useFleet, useQuery, useServerNow } from "../shell/use_fleet.ts";
import { AddToken } from "./add_token.tsx";
import { RevokeToken } from "./revoke_token.tsx";
import type { Token } from "./token.ts";
import { tokenColumns } from "./token_columns.tsx";

const WIDE = "(min-width: 60rem)";
const ROW_HEIGHT = { wide: 44, narrow: 214 } as const;
const NONE: readonly Token[] = [];

/** @param changed called after it has changed a token */
export function TokensPanel({ changed }: { readonly changed: () => void }): JSX.Element {
  const { document, failure, again } = useTokens(changed);
  const [isAdding, setAdding] = useState(false);
  const [revoked, setRevoked] = useState<Token>();
  const [sorting, setSorting] = useQuery("sort", "name");
  const isNarrow = !useMedia(WIDE);
  const columns = tokenColumns(useServerNow(30_000), setRevoked);
  const tokens = document?.tokens ?? NONE;
  return (
    <Panel
      title="Tokens"
      class="flush"
      aside={
        <button type="button" class="button primary" onClick={() => setAdding(true)}>
          Create a token
        </button>
      }
    >
      {failure !== undefined && <Failure failure={failure} />}
      {tokens.length > 0 && (
        <Table
          label="Tokens"
          columns={columns}
          items={sorted(tokens, columns, sorting)}
          keyOf={({ name }) => name}
          sorting={sorting}
          onSort={setSorting}
          rowHeight={isNarrow ? ROW_HEIGHT.narrow : ROW_HEIGHT.wide}
          isNarrow={isNarrow}
        />
      )}
      {isAdding && <AddToken again={again} onClose={() => setAdding(false)} />}
      {revoked !== undefined && <RevokeToken token={revoked} again={again} onClose={() => setRevoked(undefined)} />}
    </Panel>
  );
}

function useTokens(changed: () => void): Read<{ readonly tokens: readonly Token[] }> {
  const readings = useFleet((fleet) => fleet.readings);
  const read = useDocument<{ readonly tokens: readonly Token[] }>("v1/tokens", `${readings} ${useLooks()}`);
  const again = async (): Promise<void> => {
    changed();
    await read.again();
  };
  return { ...read, again };
}
