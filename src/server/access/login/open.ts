// Opens the platform's own login as the options of the command line say.
import type { Clock } from "../../../base/clock.ts";
import { CourierError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import { Outage } from "../../../base/outage.ts";
import type { Login } from "../authenticator.ts";
import { loginAddress } from "./address.ts";
import { Admission } from "./admission.ts";
import { Introspection } from "./introspection/introspection.ts";
import { JwtLogin } from "./jwt.ts";
import { parseKeySet } from "./key.ts";
import { KeySet } from "./key_set.ts";
import { chosenWay, type LoginOptions } from "./options.ts";
import { ask, unusable } from "./question.ts";
import { RoleMap, type Roles } from "./role_map.ts";
import { readSettingsFile } from "./settings_file.ts";
import { SharedSecret } from "./shared_secret.ts";
import type { Trouble } from "./trouble.ts";
import { UserList } from "./user_list.ts";

export interface LoginDeps {
  readonly clock: Clock;
  readonly log: Log;
}

interface Parts extends LoginDeps {
  readonly trouble: Trouble;
}

/**
 * @returns null when no way is chosen
 * @throws CourierError `invalid` for options that contradict each other, or files that cannot be used; `forbidden` for a file
 * that this user may not read, or others may
 */
export async function openLogin(options: LoginOptions, { clock, log }: LoginDeps): Promise<Login | null> {
  const way = chosenWay(options);
  if (way === null) return null;
  const trouble = new Outage({ clock, log, subject: "The platform's login" });
  const parts = { clock, log, trouble };
  const admission = new Admission({ roles: rolesOf(options, parts), nameClaim: options.authNameClaim ?? null });
  if (options.authIntrospect !== undefined)
    return openIntrospection(options.authIntrospect, options, { ...parts, admission });
  const { jwtIssuer: issuer = null, jwtAudience: audience = null } = options;
  return new JwtLogin({ keys: await keysOf(options, parts), issuer, audience, admission, clock });
}

function rolesOf(options: LoginOptions, { trouble }: Parts): Roles {
  if (options.jwtUsers !== undefined) return new UserList(options.jwtUsers, trouble);
  return new RoleMap(options.authRoleClaim ?? "role", options.authRole ?? []);
}

function openIntrospection(
  address: string,
  { authIntrospectCa, authIntrospectPlain }: LoginOptions,
  { admission, trouble, clock }: Parts & { readonly admission: Admission },
): Introspection {
  const plain = { option: "--auth-introspect-plain", isGiven: authIntrospectPlain === true };
  const url = loginAddress(address, { option: "--auth-introspect", plain });
  const ca = authIntrospectCa === undefined ? null : certificates(authIntrospectCa);
  return new Introspection({ question: { url, ca }, admission, trouble, clock });
}

function certificates(path: string): string {
  const option = "--auth-introspect-ca";
  const pem = readSettingsFile(path, { option }).toString("utf8");
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return pem;
  throw new CourierError("invalid", `${option}: ${path} has no certificate`, { hint: "It must be a PEM file" });
}

async function keysOf(options: LoginOptions, parts: Parts): Promise<SharedSecret | KeySet> {
  const { jwtJwks: source, jwtSecretFile, jwtIssuer, jwtAudience } = options;
  if (source === undefined) return new SharedSecret(jwtSecretFile ?? "");
  if (!source.includes("://")) return await keysInFile(source, parts);
  const url = loginAddress(source, { option: "--jwt-jwks", plain: null });
  if (jwtIssuer === undefined || jwtAudience === undefined)
    throw new CourierError("invalid", "The URL of a JWKS needs --jwt-issuer and --jwt-audience", {
      hint: "Its keys sign tokens for other programs too: these would be let in",
    });
  return new KeySet({ read: async () => await keysAt(url), source: url.host, ...parts });
}

async function keysAt(url: URL): Promise<string> {
  const { status, text } = await ask({ url, ca: null });
  if (status !== 200) throw unusable(url, `answers ${status}, where 200 is expected`);
  if (text === null) throw unusable(url, "sends more than 64 kB");
  return text;
}

/** Unlike an address, a file must be there from the start. */
async function keysInFile(path: string, parts: Parts): Promise<KeySet> {
  const option = "--jwt-jwks";
  const read = (): string => readSettingsFile(path, { option }).toString("utf8");
  if ((await parseKeySet(read())) === undefined)
    throw new CourierError("invalid", `${option}: ${path} has no key for RS256, ES256 or EdDSA`, {
      hint: 'It must be a JSON Web Key Set: {"keys": [...]}',
    });
  return new KeySet({ read: async () => read(), source: path, ...parts });
}
