// The options of the platform's own login, and which of them go together.
import { CourierError } from "../../../base/errors.ts";

/** As the command line gives them. */
export interface LoginOptions {
  readonly authIntrospect?: string | undefined;
  readonly authIntrospectCa?: string | undefined;
  readonly authIntrospectPlain?: boolean | undefined;
  readonly jwtJwks?: string | undefined;
  readonly jwtSecretFile?: string | undefined;
  readonly jwtIssuer?: string | undefined;
  readonly jwtAudience?: string | undefined;
  readonly jwtUsers?: string | undefined;
  readonly authRole?: readonly string[] | undefined;
  readonly authRoleClaim?: string | undefined;
  readonly authNameClaim?: string | undefined;
}

type Way = "authIntrospect" | "jwtJwks" | "jwtSecretFile";

/** Each option with the ways that it belongs to. */
const WAYS_OF: Readonly<Record<keyof LoginOptions, readonly Way[]>> = {
  authIntrospect: ["authIntrospect"],
  authIntrospectCa: ["authIntrospect"],
  authIntrospectPlain: ["authIntrospect"],
  jwtJwks: ["jwtJwks"],
  jwtSecretFile: ["jwtSecretFile"],
  jwtIssuer: ["jwtJwks", "jwtSecretFile"],
  jwtAudience: ["jwtJwks", "jwtSecretFile"],
  jwtUsers: ["jwtSecretFile"],
  authRole: ["authIntrospect", "jwtJwks", "jwtSecretFile"],
  authRoleClaim: ["authIntrospect", "jwtJwks", "jwtSecretFile"],
  authNameClaim: ["authIntrospect", "jwtJwks", "jwtSecretFile"],
};
const WAYS: readonly Way[] = ["authIntrospect", "jwtJwks", "jwtSecretFile"];

/**
 * The one way that is chosen; null: none is.
 * @throws CourierError `invalid` for two of them, for an option of another way, and for two sources of the roles
 */
export function chosenWay(options: LoginOptions): Way | null {
  const [way = null, other] = WAYS.filter((each) => isGiven(options, each));
  if (way !== null && other !== undefined) throw together(way, other);
  for (const [option, ways] of Object.entries(WAYS_OF)) {
    if (!isLoginOption(option) || !isGiven(options, option) || (way !== null && ways.includes(way))) continue;
    throw new CourierError("invalid", `${flagOf(option)} belongs to ${ways.map(flagOf).join(" or ")}`, {
      hint: `Add that option, or leave ${flagOf(option)} out`,
    });
  }
  for (const option of ["authRole", "authRoleClaim"] as const)
    if (isGiven(options, "jwtUsers") && isGiven(options, option)) throw together("jwtUsers", option);
  return way;
}

function isGiven(options: LoginOptions, option: keyof LoginOptions): boolean {
  return options[option] !== undefined && options[option] !== false;
}

function isLoginOption(text: string): text is keyof LoginOptions {
  return Object.hasOwn(WAYS_OF, text);
}

function together(one: keyof LoginOptions, other: keyof LoginOptions): CourierError {
  return new CourierError("invalid", `${flagOf(one)} and ${flagOf(other)} cannot be used together`, {
    hint: "Choose one. It may also be set in the environment, as GPU_COURIER_...",
  });
}

/** `--jwt-jwks` */
function flagOf(option: keyof LoginOptions): string {
  return `--${option.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`)}`;
}
