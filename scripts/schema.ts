// Writes docs/schema/*.json, what crosses a transport as JSON Schema, from the zod schemas.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { CommandV1, CommandV2, Job, Response, State } from "#src/protocol.ts";
import { RosterDocument } from "#src/trust/roster/document.ts";

const DOCUMENTS = {
  command: {
    schema: z.union([CommandV2, CommandV1]),
    description: "A command: version 2, or version 1 without version",
  },
  response: { schema: Response, description: "The answer to a command of either version" },
  state: { schema: State, description: "The document that an agent publishes about itself" },
  roster: { schema: RosterDocument, description: "Who is who on a share, as an operator signed it" },
  job: { schema: Job, description: "Long work of an agent, as the state document and responses show it" },
} as const;

/**
 * The JSON Schema files by name: draft 2020-12, as a reader should check. Fields that a schema does not name are
 * allowed, as everywhere in the protocol.
 */
export function schemaFiles(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(DOCUMENTS).map(([name, { schema, description }]) => {
      const { $schema, ...rest } = z.toJSONSchema(schema, {
        io: "input",
        unrepresentable: "any",
      });
      const document = { $schema, $id: `urn:gpu-courier:schema:${name}`, title: name, description, ...rest };
      return [`${name}.json`, `${JSON.stringify(document, null, 2)}\n`];
    }),
  );
}

if (import.meta.main) {
  const folder = join(import.meta.dir, "../docs/schema");
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of schemaFiles()) writeFileSync(join(folder, name), text);
}
