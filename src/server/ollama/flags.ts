// The flag of what serves Ollama's clients.
import { flag } from "../../program/flags.ts";

export const ollamaFlags = {
  cancelOnDisconnect: () =>
    flag("--cancel-on-disconnect", "cancel a pull that was started under /agents with its last client").default(false),
};
