// The file with the public keys of the operators, whose rosters count here.
import { CourierError } from "../../base/errors.ts";
import { parseTrustedKeys, type TrustedKey } from "../trusted_keys.ts";
import { type KeysUse, TrustedKeysFile } from "../trusted_keys_file.ts";

const OPERATORS: KeysUse = {
  name: "operator keys",
  user: "that of this program",
  hint: "Each line is the output of `gpuctl roster key`. The file is read again when it changes",
  parse: parseOperatorKeys,
};

/** @param user as for `TrustedKeysFile` */
export function operatorKeysFile(path: string, user?: number): TrustedKeysFile {
  return new TrustedKeysFile(path, user, OPERATORS);
}

/** As `parseTrustedKeys()`, without `verbs=`: an operator signs rosters and nothing else. */
export function parseOperatorKeys(text: string): ReadonlyMap<string, TrustedKey> {
  const keys = parseTrustedKeys(text);
  for (const { id, verbs } of keys.values())
    if (verbs !== null)
      throw new CourierError("invalid", `the line of the key ${id} has verbs=, which operators do not have`);
  return keys;
}
