// What a view of the console is.
import type { ComponentType } from "preact";
import type { Permission } from "../session.ts";

/** One entry of the navigation. */
export interface View {
  /** The first part of its address. */
  readonly id: string;
  readonly title: string;
  /** @param rest the parts of the address after `id` */
  readonly Page: ComponentType<{ readonly rest: readonly string[] }>;
  /** Without any of these permissions the view is absent. */
  readonly needs?: readonly Permission[];
  /** Absent where the server runs no mirror. */
  readonly needsMirror?: boolean;
}
