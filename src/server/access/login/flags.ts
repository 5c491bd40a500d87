// The flags of the platform's own login.
import { flag } from "../../../program/flags.ts";

const GROUP = "The platform's own login:";

const repeated = (text: string, previous: readonly string[] | undefined): string[] => [...(previous ?? []), text];

export const loginFlags = {
  authIntrospect: () =>
    flag("--auth-introspect <url>", 'ask the platform who a token is of: its "who am I" route').helpGroup(GROUP),
  authIntrospectCa: () =>
    flag("--auth-introspect-ca <file>", "certificates (PEM) to trust there instead of the usual ones").helpGroup(GROUP),
  authIntrospectPlain: () =>
    flag("--auth-introspect-plain", "allow http: to a private address there, where others could read the tokens")
      .helpGroup(GROUP)
      .default(false),
  jwtJwks: () =>
    flag("--jwt-jwks <url|file>", "verify tokens (RS256, ES256, EdDSA) with the public keys there").helpGroup(GROUP),
  jwtSecretFile: () =>
    flag("--jwt-secret-file <file>", "verify tokens (HS256) with the secret in this file, of mode 0600").helpGroup(
      GROUP,
    ),
  jwtIssuer: () =>
    flag("--jwt-issuer <text>", "the iss that tokens must have; required with the URL of a JWKS").helpGroup(GROUP),
  jwtAudience: () =>
    flag("--jwt-audience <text>", "the aud that tokens must have; required with the URL of a JWKS").helpGroup(GROUP),
  jwtUsers: () =>
    flag(
      "--jwt-users <file>",
      'with --jwt-secret-file: lines "gp SUBJECT" and "viewer SUBJECT", for tokens that name no role',
    ).helpGroup(GROUP),
  authRole: () =>
    flag("--auth-role <role=names>", "the platform's roles that are gp or viewer here: gp=admin,operator; repeatable")
      .helpGroup(GROUP)
      .argParser(repeated),
  authRoleClaim: () =>
    flag("--auth-role-claim <field>", "where the platform's role is, for example user.role (default: role)").helpGroup(
      GROUP,
    ),
  authNameClaim: () =>
    flag("--auth-name-claim <field>", "where the user's name is (default: sub, username or email)").helpGroup(GROUP),
};
