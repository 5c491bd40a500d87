// The rows of the seam and its drivers.

const BASE = ["src/base/*.ts", "src/protocol.ts"];
const SEAM = [...BASE, "src/transport.ts"];
const LAYOUT = "src/transport/share/layout.ts";
const SHARE = "src/transport/share/{share,failures,layout,time/share_clock}.ts";

const share = (folders: string): string[] => folders.split(" ").map((folder) => `src/transport/share/${folder}/*.ts`);

/** In the order in which they count. */
export const TRANSPORT_ROWS: readonly { readonly files: string; readonly may: readonly string[] }[] = [
  { files: "src/transport.ts", may: ["src/base/check.ts"] },
  { files: "src/transport/address.ts", may: [] },
  {
    files: "src/transport/open.ts",
    may: [
      ...SEAM,
      "src/transport/address.ts",
      "src/transport/share/{driver,share}.ts",
      "src/transport/nats/{driver,options}.ts",
    ],
  },
  { files: "src/transport/nats/{layout,options}.ts", may: [...SEAM, "src/transport/nats/layout.ts"] },
  { files: "src/transport/nats/calls/*.ts", may: [...SEAM, "src/transport/nats/{layout,options}.ts"] },
  {
    files: "src/transport/nats/messages/*.ts",
    may: [...SEAM, "src/transport/retention.ts", "src/transport/nats/layout.ts", "src/transport/nats/calls/*.ts"],
  },
  {
    files: "src/transport/nats/*.ts",
    may: [...SEAM, "src/transport/closables.ts", "src/transport/nats/{calls,messages}/*.ts"],
  },
  // Which of two documents is an agent's depends on who signed them.
  {
    files: "src/transport/several/*.ts",
    may: [...SEAM, "src/trust/{keys,signature}.ts", "src/trust/agents/signed_state.ts"],
  },
  { files: "src/transport/several.ts", may: [...SEAM, "src/transport/closables.ts", "src/transport/several/*.ts"] },
  { files: "src/transport/memory/*.ts", may: SEAM },
  // The models on the share: a store beside the transport, with a gate of its own.
  {
    files: "src/transport/mirror/{*,reading/*}.ts",
    may: [
      ...BASE,
      "src/program/{disk_reserve,registry/*}.ts",
      "src/transport/share/{calls/stall_gate,mount/table}.ts",
      "src/transport/mirror/{*,reading/*}.ts",
    ],
  },
  { files: "src/transport/*.ts", may: [...SEAM, "src/transport/memory/*.ts"] },
  { files: LAYOUT, may: SEAM },
  { files: "src/transport/share/{time/share_clock,messages/awaited}.ts", may: ["src/base/clock.ts"] },
  { files: "src/transport/share/calls/*.ts", may: BASE },
  { files: "src/transport/share/folders/*.ts", may: [...BASE, LAYOUT, ...share("calls")] },
  { files: "src/transport/share/mount/*.ts", may: [...BASE, ...share("calls")] },
  { files: "src/transport/share/access/*.ts", may: [...BASE, LAYOUT, ...share("calls folders mount")] },
  { files: "src/transport/share/failures.ts", may: [...BASE, ...share("access")] },
  {
    files: "src/transport/share/share.ts",
    may: [...BASE, "src/transport/share/{layout,time/share_clock}.ts", ...share("calls folders mount")],
  },
  {
    files: "src/transport/share/files/*.ts",
    may: [...SEAM, "src/transport/share/{share,failures,layout}.ts", ...share("calls folders")],
  },
  { files: "src/transport/share/messages/*.ts", may: [...SEAM, SHARE, ...share("calls files")] },
  {
    files: "src/transport/share/time/learn_time.ts",
    may: [...BASE, "src/transport/share/{share,failures,messages/changed_states}.ts", ...share("files")],
  },
  {
    files: "src/transport/share/watch/*.ts",
    may: [
      ...SEAM,
      "src/transport/share/{share,failures,layout,time/share_clock,messages/{awaited,state_looks}}.ts",
      ...share("calls files"),
    ],
  },
  {
    files: "src/transport/share/sweep/*.ts",
    may: [...SEAM, "src/transport/retention.ts", SHARE, ...share("calls folders files")],
  },
  {
    files: "src/transport/share/examine/*.ts",
    may: [
      ...BASE,
      "src/transport/retention.ts",
      "src/transport/share/{time/share_clock,failures,layout}.ts",
      ...share("calls folders mount access"),
    ],
  },
  {
    files: "src/transport/share/driver.ts",
    may: [
      ...SEAM,
      "src/transport/closables.ts",
      "src/transport/share/*.ts",
      "src/transport/share/calls/network.ts",
      ...share("messages time watch sweep examine"),
    ],
  },
];
