// The columns of the list of tokens.
import type { JSX } from "preact";
import { rangesText } from "../../base/order.ts";
import { localDay, localTime } from "../parts/local_text.ts";
import { actionColumn, type Column } from "../parts/table.tsx";
import { Ago, Foreign, plural } from "../parts/text.tsx";
import { isExpired, ROLES, type Token } from "./token.ts";

const BEFORE: readonly Column<Token>[] = [
  {
    id: "name",
    title: "Name",
    width: "minmax(8rem, 1.2fr)",
    isPlain: true,
    sortBy: ({ name }) => name,
    cell: ({ name }) => <Foreign class="strong" text={name} />,
  },
  {
    id: "role",
    title: "Role",
    width: "minmax(9rem, 1fr)",
    sortBy: ({ role }) => role,
    cell: ({ role }) => (
      <span>
        {role} <span class="quiet">{ROLES[role]}</span>
      </span>
    ),
  },
  {
    id: "scope",
    title: "Scope",
    width: "minmax(9rem, 1.6fr)",
    sortBy: ({ agents }) => agents?.length ?? null,
    cell: (token) => <Scope token={token} />,
  },
];

/** @param nowMs by the clock of the server */
export function tokenColumns(nowMs: number, revoke: (token: Token) => void): readonly Column<Token>[] {
  return [
    ...BEFORE,
    {
      id: "used",
      title: "Last used",
      width: "8.5rem",
      sortBy: ({ last_used_at: used }) => (used === null ? null : Date.parse(used)),
      cell: ({ last_used_at: used }) =>
        used === null ? <span class="quiet">never</span> : <Ago at={used} nowMs={nowMs} />,
    },
    {
      id: "expires",
      title: "Expires",
      width: "8.5rem",
      sortBy: ({ expires_at: end }) => (end === null ? null : Date.parse(end)),
      cell: (token) => <End token={token} nowMs={nowMs} />,
    },
    {
      id: "maker",
      title: "Created by",
      width: "minmax(6rem, 0.8fr)",
      sortBy: ({ created_by: maker }) => maker,
      cell: ({ created_by: maker }) => <Foreign text={maker ?? "an operator"} />,
    },
    actionColumn((token) => (
      <button type="button" class="button danger" aria-label={`Revoke ${token.name}`} onClick={() => revoke(token)}>
        Revoke
      </button>
    )),
  ];
}

function Scope({ token: { agents, verbs } }: { readonly token: Token }): JSX.Element {
  const where = agents === null ? "all boxes" : plural(agents.length, "box", "boxes");
  const all = [...(agents === null ? [] : [rangesText(agents)]), ...(verbs ?? [])].join(", ");
  return (
    <span title={all}>
      {where}
      {agents !== null && <span class="quiet">{` ${rangesText(agents)}`}</span>}
      {verbs !== null && <span class="quiet">{`, only ${verbs.join(", ")}`}</span>}
    </span>
  );
}

function End({ token, nowMs }: { readonly token: Token; readonly nowMs: number }): JSX.Element {
  const { expires_at: end } = token;
  if (end === null) return <span class="quiet">never</span>;
  if (isExpired(token, nowMs)) return <span class="verdict bad">expired</span>;
  return (
    <time dateTime={end} title={localTime(end)}>
      {localDay(end)}
    </time>
  );
}
