// Replaces a file of this program so that what was stored does not come back after a power cut.
import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Complete or not at all, also over a power cut: its folder is synced too.
 * @param draft a name beside it that no other program uses at the same time
 * @throws the system's error
 */
export function replaceFile(path: string, text: string, draft = `${path}.new`): void {
  const file = openSync(draft, "w", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(draft, path);
  syncFolder(dirname(path));
}

function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
