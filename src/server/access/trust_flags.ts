// Flags for whom the server trusts among agents and operators.
import { flag } from "../../program/flags.ts";
import { VERIFY_MODES } from "../../trust/agents/known_agents.ts";

export const trustFlags = {
  verifyAgents: () =>
    flag(
      "--verify-agents <mode>",
      "whose signatures must be right: off, known (of agents whose key is known) or all (default: all with --operator-keys, else known)",
    ).choices(VERIFY_MODES),
  operatorKeys: () =>
    flag("--operator-keys <file>", "public keys of operators, whose roster names the keys of agents; one a line"),
};
