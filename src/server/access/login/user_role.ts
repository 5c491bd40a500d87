// What a user of the platform may be here: the other roles are those of boxes.
import type { z } from "zod";
import { Role } from "../../store/tokens.ts";

export const UserRole = Role.exclude(["mirror"]);
export type UserRole = z.infer<typeof UserRole>;
