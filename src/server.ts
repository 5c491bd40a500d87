// gpu-server, the entry point that serves the models of GPU machines over HTTP.
import { hostname } from "node:os";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { isoTime, systemClock } from "./base/clock.ts";
import { silentLog } from "./base/log.ts";
import { programCommand } from "./program/command.ts";
import { runCommandLine } from "./program/exit.ts";
import { defaultStateDir, flag, parse, serviceFlags } from "./program/flags.ts";
import { writeError } from "./program/journal.ts";
import { openLog } from "./program/log.ts";
import { chosenRegistries, registryFlags } from "./program/registry/flags.ts";
import { openServiceManager } from "./program/service_manager.ts";
import { stopSignal } from "./program/stop_signal.ts";
import { addressesOf, natsFlagsOf } from "./program/transport_flags.ts";
import { userName } from "./program/user_name.ts";
import { AgentName } from "./protocol.ts";
import { parseExpiry, parseSince, parseVerbs } from "./server/access/flag_values.ts";
import { loginFlags } from "./server/access/login/flags.ts";
import { openLogin } from "./server/access/login/open.ts";
import { consoleFlags, consoleSettings } from "./server/access/sessions/flags.ts";
import { signInLink } from "./server/access/sessions/link_command.ts";
import { addToken, listTokens, revokeToken } from "./server/access/token_commands.ts";
import { trustFlags } from "./server/access/trust_flags.ts";
import { VERB_HELP } from "./server/access/verb_words.ts";
import { showAudit } from "./server/audit/command.ts";
import { recordLocalChange } from "./server/audit/local_change.ts";
import { seenState } from "./server/fleet/seen_state.ts";
import { guardFlags } from "./server/http/guard/flags.ts";
import { MAX_LISTENERS } from "./server/limits/listeners.ts";
import { chosenDesired, desiredFlags } from "./server/models/desired/flags.ts";
import { mirrorFlags, mirrorSettings, servedFolder } from "./server/models/mirror/flags.ts";
import { ollamaFlags } from "./server/ollama/flags.ts";
import { readCatalog } from "./server/platform/catalog.ts";
import { runServer } from "./server/run.ts";
import { storeFlags } from "./server/store/shared/flags.ts";
import { copyStore, openServerStore, type StorePlace, storeDir } from "./server/store/shared/open.ts";
import { type Choice, listKnownAgents, trustAgent } from "./server/store/shared/trust_commands.ts";
import { Role } from "./server/store/tokens.ts";
import { showDeliveries, showWebhooks, testWebhooks } from "./server/webhooks/command.ts";
import { webhookFlags } from "./server/webhooks/flags.ts";
import { openWebhooks } from "./server/webhooks/settings.ts";
import { openTransports, type TransportOptions } from "./transport/open.ts";
import { several } from "./transport/several.ts";
import { isKeyId, parseGivenKey } from "./trust/agents/decisions.ts";
import { ensureKey, keyPath, readKey } from "./trust/key_file.ts";
import { publicLine } from "./trust/keys.ts";
import { rosterPath } from "./trust/roster/kept_roster.ts";

const SERVICE = "gpu-server";
const EXAMPLES = `
Every request needs a token. Tokens can be added and revoked while the server runs.
  gpu-server token add platform --role gp     full access; prints the token, which is not stored
  gpu-server token add grafana --role viewer  read-only access to /v1
  curl -H @token.header http://127.0.0.1:8001/v1/agents
                                              token.header holds: Authorization: Bearer TOKEN
Users of the platform can use its own tokens:
  gpu-server --auth-introspect https://platform.example.org/users/me --auth-role gp=admin
Run these as the user that runs the server, or with its --state-dir.`;

const TOKEN_EXAMPLES = `
A token with limits is refused by releases that do not know them.
  gpu-server token add grafana --role viewer --expires 90d
  gpu-server token add berlin --role gp --agents gpu-1,gpu-2
                                        sees no other agents, and pulls and deletes only there
  gpu-server token add puller --role gp --verbs list_models,pull_model,list_jobs`;

/** @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  return await runCommandLine(createProgram(), argv);
}

function createProgram() {
  const program = createServerCommand();
  const run = async (): Promise<void> => await runUntilStopped(program.opts(), addressesOf(program));
  const stateDir = (): string => program.opts().stateDir ?? defaultStateDir(SERVICE);
  program.action(run);
  program.command("run").description("serve until stopped (the default)").action(run);
  const place = (): StorePlace => placeOf(program.opts(), addressesOf(program));
  const store = (): string => storeDir(place());
  addTokenCommands(program.command("token").description("add, list and revoke tokens"), place);
  addLinkCommand(program.command("sign-in-link"), place, () => baseUrl(program.opts()));
  program
    .command("trust")
    .description("show the keys of the agents, or confirm or replace one; takes effect in a second")
    .argument("[agent]")
    .argument(
      "[key...]",
      "what gpu-agent key prints on the box, or the id of a key that was seen; without it, the known key",
    )
    .option("--unsigned", "this agent does not sign: after a downgrade on purpose", false)
    .option("--json", "print one JSON document", false)
    .action(
      async (agent, key, options) => await trust(program.opts(), addressesOf(program), agent, key.join(" "), options),
    );
  program
    .command("key")
    .description(
      "print the public key that signs commands, for the trusted keys of the boxes; creates it if it is missing",
    )
    .action(() => showKey(keyPath(stateDir())));
  addAuditCommand(program.command("audit").description("show who changed what, the newest first"), store);
  addStoreCommand(program.command("store").description("move what gpu-server keeps to another store"), place);
  const webhooks = program.command("webhooks").description("test webhooks, and show what was sent to them");
  addWebhookCommands(webhooks, store, () => openWebhooks(program.opts()));
  return program;
}

function addTokenCommands(token: Command, place: () => StorePlace): void {
  token
    .command("add")
    .description("add a token and print it")
    .argument("<name>", "name of the token")
    .addOption(new Option("--role <role>", "what the token permits").choices(Role.options).makeOptionMandatory())
    .option("--expires <when>", "30d, 12h, or its last day: 2027-06-01 (default: never)", parseExpiry)
    .option("--agents <names>", "the only agents that it sees: gpu-1,gpu-2 (default: all)", parse.list(parseAgent))
    .option("--verbs <verbs>", "all that it may do, of what the role permits (default: all of it)", parseVerbs)
    .addHelpText("after", `\nVerbs:\n${VERB_HELP}\n${TOKEN_EXAMPLES}`)
    .action(async (name, { role, expires = null, agents = null, verbs = null }) => {
      await addToken(place(), name, role, { expiresAtMs: expires, agents, verbs }, print);
      const details = { name, role, expires_at: expires && isoTime(expires), verbs, agents };
      recordLocalChange(storeDir(place()), { command: "gpu-server token add", who: userName(), details });
    });
  token
    .command("list")
    .description("list the tokens and what they permit")
    .option("--json", "print one JSON document", false)
    .action(async (options) => await listTokens(place(), options, print));
  token
    .command("revoke")
    .description("revoke a token; takes effect immediately")
    .argument("<name>", "name of the token")
    .action(async (name) => {
      await revokeToken(place(), name, print);
      const change = { command: "gpu-server token revoke", who: userName(), details: { name } };
      recordLocalChange(storeDir(place()), change);
    });
}

function addStoreCommand(store: Command, place: () => StorePlace): void {
  store
    .command("copy")
    .description("copy tokens, active models, known keys and the log of ended jobs; stop all gpu-servers first")
    .addOption(new Option("--from <store>", "where they are").choices(["sqlite"]).makeOptionMandatory())
    .addOption(new Option("--to <store>", "on the NATS of --transport").choices(["nats"]).makeOptionMandatory())
    .action(async () => await copyStore(place(), print));
}

function addLinkCommand(link: Command, place: () => StorePlace, base: () => URL): void {
  link
    .description("print a link that signs a browser in once, within 5 minutes")
    .argument("<name>", "name of the token whose rights it has")
    .action(async (name) => {
      print(`${await signInLink(place(), name, base())}\n`);
      recordLocalChange(storeDir(place()), { command: "gpu-server sign-in-link", who: userName(), details: { name } });
    });
}

/** Where browsers find the server, as far as its options say. */
function baseUrl({ publicUrl, host, port }: Options): URL {
  return publicUrl ?? new URL(`http://${host.includes(":") ? `[${host}]` : host}:${port}`);
}

function addAuditCommand(audit: Command, stateDir: () => string): void {
  audit
    .option("--since <when>", "12h, 2d, or an instant: 2027-06-01T08:00Z (default: all that is kept)", parseSince)
    .option("--limit <count>", "entries to show", parse.count, 100)
    .option("--json", "print one JSON document", false)
    .action(({ since, limit, json }) => showAudit(stateDir(), { sinceMs: since, limit, json }, print));
}

function addWebhookCommands(
  webhooks: Command,
  stateDir: () => string,
  settings: () => ReturnType<typeof openWebhooks>,
): void {
  webhooks
    .command("test")
    .description("send a test event to each --webhook")
    .option("--json", "print one JSON document", false)
    .action(async (options) => await testWebhooks(settings(), options, print));
  webhooks
    .command("list")
    .description("list the targets with their counters")
    .option("--json", "print one JSON document", false)
    .action((options) => showWebhooks(stateDir(), options, print));
  webhooks
    .command("deliveries")
    .description("show what was sent, or will be, the newest first")
    .option("--limit <count>", "deliveries to show", parse.count, 100)
    .option("--json", "print one JSON document", false)
    .action((options) => showDeliveries(stateDir(), options, print));
}

function showKey(path: string): void {
  const isMissing = readKey(path) === null;
  print(`${publicLine(ensureKey(path), `server@${hostname()}`)}\n`);
  if (isMissing) writeError(`Created ${path}. A gpu-server that is running signs with it after a restart.\n`);
}

function createServerCommand() {
  return createServiceCommand()
    .addOption(consoleFlags.console())
    .addOption(consoleFlags.publicUrl())
    .addOption(consoleFlags.trustedProxy())
    .addOption(consoleFlags.manageTokens())
    .addOption(loginFlags.authIntrospect())
    .addOption(loginFlags.authIntrospectCa())
    .addOption(loginFlags.authIntrospectPlain())
    .addOption(loginFlags.jwtJwks())
    .addOption(loginFlags.jwtSecretFile())
    .addOption(loginFlags.jwtIssuer())
    .addOption(loginFlags.jwtAudience())
    .addOption(loginFlags.jwtUsers())
    .addOption(loginFlags.authRole())
    .addOption(loginFlags.authRoleClaim())
    .addOption(loginFlags.authNameClaim())
    .addOption(registryFlags.allowRegistry())
    .addOption(registryFlags.insecureRegistry())
    .addOption(mirrorFlags.mirror())
    .addOption(mirrorFlags.fetchRate())
    .addOption(desiredFlags.desired())
    .addOption(desiredFlags.desiredPrune())
    .addOption(desiredFlags.desiredMaxDeletes())
    .addOption(mirrorFlags.serve())
    .addOption(mirrorFlags.folder())
    .addOption(webhookFlags.webhook())
    .addOption(webhookFlags.webhookSecretFile())
    .addOption(webhookFlags.webhookCa());
}

function createServiceCommand() {
  return programCommand(SERVICE, "Serve the models of GPU machines over HTTP")
    .configureHelp({ showGlobalOptions: true })
    .addHelpText("after", EXAMPLES)
    .addOption(flag("--host <host>", "address to listen on").default("127.0.0.1"))
    .addOption(flag("--port <port>", "port to listen on; 0 picks a free one").argParser(parse.port).default(8001))
    .addOption(guardFlags.trustedListen())
    .addOption(guardFlags.trustedHost())
    .addOption(guardFlags.corsOrigin())
    .addOption(flag("--default-agent <name>", "agent to pull and delete on when none is named").argParser(parseAgent))
    .addOption(ollamaFlags.cancelOnDisconnect())
    .addOption(flag("--catalog <file>", "JSON file served as /api/config/available-models (default: a built-in list)"))
    .addOption(
      flag("--timeout <seconds>", "how long to wait for a response from an agent").argParser(parse.seconds).default(30),
    )
    .addOption(trustFlags.verifyAgents())
    .addOption(trustFlags.operatorKeys())
    .addOption(
      flag("--max-listeners <count>", "event streams at the same time, at most 100 for a limited caller")
        .argParser(parse.count)
        .default(MAX_LISTENERS),
    )
    .addOption(serviceFlags.watch())
    .addOption(serviceFlags.init())
    .addOption(storeFlags.store())
    .addOption(storeFlags.creds())
    .addOption(serviceFlags.stateDir(SERVICE))
    .addOption(serviceFlags.logLevel())
    .addOption(serviceFlags.logFormat());
}

type Options = ReturnType<ReturnType<typeof createServerCommand>["opts"]>;

function placeOf(options: Options, addresses: Addresses): StorePlace {
  const stateDir = options.stateDir ?? defaultStateDir(SERVICE);
  const nats = natsFlagsOf(options);
  return { kind: options.store, stateDir, addresses, nats, storeCreds: options.natsStoreCreds };
}

async function runUntilStopped(options: Options, addresses: Addresses): Promise<void> {
  const stop = stopSignal();
  const catalog = readCatalog(options.catalog);
  const stateDir = options.stateDir ?? defaultStateDir(SERVICE);
  const log = openLog(options.logLevel, options.logFormat);
  const login = await openLogin(options, { clock: systemClock, log });
  const webhooks = openWebhooks(options);
  const mirror = mirrorSettings(options, addresses);
  const transports = openAt(options, addresses, {
    create: options.init ? "always" : "network",
    log,
    rememberIn: join(stateDir, "file-system"),
    listsForLegacyBackends: true,
  });
  const store = await openServerStore(placeOf(options, addresses), { transports, log });
  try {
    const settings = {
      ...httpSettings(options),
      // A site that moves goes on there.
      newBoxesOn: addresses.at(-1) ?? addresses[0],
      natsPrefix: options.natsPrefix,
      ...consoleSettings(options),
      catalog,
      mirror,
      ...modelSettings(options, addresses),
      login,
      signingKey: readKey(keyPath(stateDir)),
      verifyAgents: options.verifyAgents,
      webhooks,
      operators: operatorsOf(options, stateDir),
    };
    await runServer(settings, { transports, ...store, service: openServiceManager(log), log, stop });
  } finally {
    await store.close();
  }
}

function httpSettings(options: Options) {
  const { host, port, trustedListen, trustedHost, corsOrigin, timeout, maxListeners } = options;
  return {
    address: { host, port },
    trustedAddress: trustedListen,
    trustedHosts: trustedHost ?? [],
    corsOrigins: corsOrigin ?? [],
    timeoutMs: timeout * 1000,
    maxListeners,
    defaultAgent: options.defaultAgent,
    cancelsOnDisconnect: options.cancelOnDisconnect,
  };
}

/** @throws CourierError `invalid` */
function modelSettings(options: Options, addresses: Addresses) {
  const servedMirror = servedFolder(options, addresses);
  return { registries: chosenRegistries(options), desired: chosenDesired(options), servedMirror };
}

function operatorsOf({ operatorKeys }: Options, stateDir: string) {
  return operatorKeys === undefined ? null : { keys: operatorKeys, roster: rosterPath(stateDir) };
}

async function trust(
  options: Options,
  addresses: Addresses,
  agent: string | undefined,
  key: string,
  { unsigned, json }: { readonly unsigned: boolean; readonly json: boolean },
): Promise<void> {
  const place = placeOf(options, addresses);
  if (agent === undefined) return listKnownAgents(place, { json }, print);
  const name = parseAgent(agent);
  const { after } = await trustAgent(
    place,
    name,
    unsigned ? "unsigned" : await keyChoice(options, addresses, name, key),
    print,
  );
  const details = { key_id: after.id, key_status: after.status };
  recordLocalChange(storeDir(place), { command: "gpu-server trust", who: userName(), agent: name, details });
}

async function keyChoice(options: Options, addresses: Addresses, agent: string, key: string): Promise<Choice> {
  const given = key === "" ? undefined : parseGivenKey(key);
  const transports = openAt(options, addresses, { create: "never", log: silentLog });
  const none = { keys: { knownKey: () => null }, clock: systemClock, log: silentLog };
  const reading = seenState(several(transports, none), agent);
  // A whole key needs no share, on which it only may turn out to be restored.
  const seen = given === undefined || isKeyId(given) ? await reading : await reading.catch(() => null);
  return { key: given, seen };
}

type Addresses = ReturnType<typeof addressesOf>;

function openAt(options: Options, addresses: Addresses, more: Omit<TransportOptions, "nats" | "watch" | "clock">) {
  const { watch } = options;
  return openTransports(addresses, { nats: natsFlagsOf(options), watch, clock: systemClock, ...more });
}

function parseAgent(text: string): string {
  const name = AgentName.safeParse(text);
  if (name.success) return name.data;
  throw new InvalidArgumentError(`It ${name.error.issues[0]?.message ?? "must be an agent's name"}`);
}

const writes: Promise<void>[] = [];

/** Without waiting: the end of the process waits, because `process.exit()` drops what a slow pipe has not taken. */
function print(text: string): void {
  writes.push(new Promise((written) => void process.stdout.write(text, () => written())));
}

if (import.meta.main) {
  // Its state directory may have been made by hand. What it makes on the share gets the bits of its folder there.
  process.umask(0o077);
  const status = await main(process.argv.slice(2));
  await Promise.all(writes);
  // A call that a hung share never answers must not keep a stopping process alive.
  process.exit(status);
}
