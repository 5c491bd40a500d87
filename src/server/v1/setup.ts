// GET /v1/setup: the commands that add a box to this site.

import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { VERSION } from "../../program/flags.ts";
import { sharePath } from "../../transport/address.ts";
import type { Env } from "../http/env.ts";
import type { SetupFacts, WholeServices } from "../services.ts";
import { QUERY } from "./schema/list_schemas.ts";
import { failures } from "./schema/problems.ts";
import { json, security } from "./schema/schemas.ts";

const FOLDER = "/etc/gpu-courier";

const Setup = z
  .object({
    version: z.string().meta({ description: "Of gpu-server" }),
    share: z.string().meta({
      description: "Where gpu-server has the share: a box may have it elsewhere. On NATS the same as transport",
    }),
    transport: z.string().nullable().meta({ description: "The address of NATS for a box. Null: it gets a share" }),
    operator_keys: z.array(z.string()).meta({
      description:
        "Lines for the operators' keys of the box: a roster names the senders. Empty: there are no operators",
    }),
    trusted_keys: z
      .array(z.string())
      .meta({ description: "Lines for the trusted keys of the box. Empty: commands are not signed" }),
    commands: z.array(z.string()).meta({
      description: "For a shell on the box, in the folder of the release. They can be run again",
    }),
  })
  .meta({ id: "Setup", description: "How to add a box" });

const KEY = "ed25519 Fmkn1OvtH9StlPSoVL4zGB/CsV10+dOg/J/E+msx3Ts= server@platform";

const showSetup = createRoute({
  method: "get",
  path: "/v1/setup",
  operationId: "showSetup",
  tags: ["service"],
  summary: "Show how to add a box to this site",
  description: "Shows a path of the server's machine, or where NATS is. Not for a token with limits.",
  security,
  request: { query: QUERY.none },
  responses: {
    200: json("The commands", Setup, setupDocument({ address: "/mnt/shared", trustedKeys: [KEY], operatorKeys: [] })),
    ...failures(),
  },
});

export function addSetupRoutes(app: OpenAPIHono<Env>, { setup }: Pick<WholeServices, "setup">): void {
  app.openapi(showSetup, (context) => context.json(setupDocument(setup()), 200));
}

function setupDocument({ address, natsPrefix, trustedKeys, operatorKeys }: SetupFacts): z.infer<typeof Setup> {
  const keys = [...trusting("operator_keys", operatorKeys), ...trusting("trusted_keys", trustedKeys)];
  const path = sharePath(address);
  return {
    version: VERSION,
    share: path ?? address,
    transport: path === null ? address : null,
    operator_keys: [...operatorKeys],
    trusted_keys: [...trustedKeys],
    commands: [
      ...(keys.length === 0 ? [] : [`sudo install -d -m 755 ${FOLDER}`]),
      ...keys,
      `sudo ./install.sh ${path === null ? onNats(address, natsPrefix) : `--share ${quoted(path)}`}`,
    ],
  };
}

function onNats(address: string, prefix: string | undefined): string {
  return `--transport ${quoted(address)}${prefix === undefined ? "" : ` --nats-prefix ${quoted(prefix)}`}`;
}

/** Before the agent is there, which would take unsigned commands until then. A line that is there twice is a fault. */
function trusting(file: "operator_keys" | "trusted_keys", keys: readonly string[]): string[] {
  if (keys.length === 0) return [];
  const use = `GPU_COURIER_${file.toUpperCase()}=${FOLDER}/${file}`;
  return [...keys.map((key) => withLine(file, key)), withLine("agent.env", use)];
}

function withLine(file: string, line: string): string {
  const path = `${FOLDER}/${file}`;
  return `grep -qsxF '${line}' ${path} || echo '${line}' | sudo tee -a ${path}`;
}

/** As a shell reads it. */
function quoted(word: string): string {
  return /^[\w./:,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
