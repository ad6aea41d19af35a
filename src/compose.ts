import type { NamedSink } from './audit/deliver-journal.ts';
import type { CheckpointKey } from './audit/journal-key.ts';
import type { HopOpener, TunnelOpener } from './broker/broker-types.ts';
import { type Candidates, type CloudQuestion, candidateClouds } from './broker/candidate-clouds.ts';
import { type CandidateCloud, combinedFailure } from './broker/settle-cloud.ts';
import { StartLimiter } from './broker/start-limiter.ts';
import type { JournalSettings, SigningKeySettings, SinkSettings } from './config/journal-settings.ts';
import { placeIn } from './config/tunnel-settings.ts';
import type { AuditReader } from './domain/audit-feed.ts';
import type { AuditSink } from './domain/audit-sink.ts';
import { asCloudtunError, CloudtunError } from './domain/errors.ts';
import type { CloudSigningKey } from './domain/signing-key.ts';
import { type PlaceKey, PROVIDER_IDS, type ProviderId } from './domain/target.ts';
import type { App, AppQuestion, ProviderSet } from './plan/app.ts';
import type { Prompts } from './providers/provider.ts';
import type { Cloud } from './providers/registry.ts';
import { hostUser } from './runtime/host-user.ts';
import { Lifetime } from './runtime/lifetime.ts';
import type { NetworkSettings } from './runtime/network.ts';
import type { WakeWatch } from './runtime/wake-watch.ts';
import type { World } from './runtime/world.ts';

/*
 * The only file that knows concrete classes, each loaded on first use: `cloudtun --help` reads no SDK, `targets` no websocket.
 */

export type Clouds = Readonly<Record<ProviderId, Cloud>>;

/** Every cloud there is, unless a test brings its own. Loads what their names look like, and no SDK. */
async function allClouds(): Promise<Clouds> {
  return (await import('./providers/registry.ts')).PROVIDERS;
}

/** The port of the far side in a TARGET that names one by itself. @param target without a cloud prefix */
export async function farPortOf(target: string): Promise<number | undefined> {
  const ports = Object.values(await allClouds()).map((cloud) => cloud.farPort?.(target));
  return ports.find((port) => port !== undefined);
}

/** How permissions are written for a cloud; undefined where cloudtun writes none. */
export async function policyOf(cloud: ProviderId): Promise<Cloud['policy']> {
  return (await allClouds())[cloud].policy;
}

/** How the clouds' own records of tunnels are read; clouds that keep none are left out. Loads no SDK. */
export async function auditReaders(): Promise<readonly { readonly cloud: ProviderId; readonly reader: AuditReader }[]> {
  const clouds = await allClouds();
  const readers = PROVIDER_IDS.map(async (cloud) => ({ cloud, reader: await clouds[cloud].auditReader?.() }));
  return (await Promise.all(readers)).flatMap(({ cloud, reader }) => (reader === undefined ? [] : [{ cloud, reader }]));
}

/**
 * The clouds that a question is about. Asks nothing of them.
 *
 * @throws what the provider's factory throws, when none could be made: CT_NO_PROFILE, CT_CONFIG, CT_TLS, CT_PROXY
 */
export async function composeProviders(
  world: World,
  question: CloudQuestion,
  prompts: Prompts,
  clouds?: Clouds,
): Promise<ProviderSet> {
  const known = clouds ?? (await allClouds());
  const found = candidateClouds(known, question, world);
  const lifetime = new Lifetime();
  const candidates = await Promise.all(
    found.ids.map(async (id): Promise<CandidateCloud> => {
      try {
        const provider = await known[id].create(world, placeIn(id, question.selection), prompts);
        return { id, provider: lifetime.use(provider) };
      } catch (thrown) {
        return { id, error: asCloudtunError(thrown) };
      }
    }),
  );
  const providers = candidates.flatMap((candidate) => ('provider' in candidate ? [candidate.provider] : []));
  if (providers.length === 0) {
    throw combinedFailure(candidates.flatMap((candidate) => ('error' in candidate ? [candidate] : [])));
  }
  return {
    candidates,
    providers,
    firstSteps: firstSteps(known, found),
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

function firstSteps(clouds: Clouds, { isGuess }: Candidates): readonly string[] {
  return isGuess ? Object.values(clouds).map(({ label, firstStep }) => `${label}: ${firstStep}`) : [];
}

/**
 * Puts together what opens tunnels in the clouds that a target may be in. Asks nothing of them.
 *
 * @param starts shared by all that this process composes; its own where it composes nothing else
 * @throws as `composeProviders`
 */
export async function composeApp(
  world: World,
  question: AppQuestion,
  prompts: Prompts,
  clouds?: Clouds,
  starts: StartLimiter = new StartLimiter(world),
): Promise<App> {
  const lifetime = new Lifetime();
  try {
    const [
      journal,
      { SessionLedger },
      { networkSettings },
      { PeerWatch },
      { LocalMemory },
      { HeapKeeper },
      { WakeWatch },
      { resolveHost },
      { SharedLooks },
    ] = await Promise.all([
      openJournal(world, question.journal, { clouds, credentials: question.selection }),
      import('./broker/session-ledger.ts'),
      import('./runtime/network.ts'),
      import('./transport/peer-watch.ts'),
      import('./transport/local-memory.ts'),
      import('./runtime/heap-keeper.ts'),
      import('./runtime/wake-watch.ts'),
      import('./runtime/resolve-host.ts'),
      import('./broker/shared-looks.ts'),
    ]);
    lifetime.use(journal);
    const network = lifetime.use(await networkSettings(world));
    const { candidates, providers, firstSteps } = lifetime.use(
      await composeProviders(world, question, prompts, clouds),
    );
    const ledger = new SessionLedger(world);
    const wake = new WakeWatch(world.clock);
    const looks = new SharedLooks(world.clock);
    return {
      world,
      candidates,
      providers,
      firstSteps,
      journal,
      journalPath: journal.path,
      ledger,
      peers: new PeerWatch(world),
      memory: new LocalMemory(new HeapKeeper(world.clock)),
      contextFor: (provider) => {
        const connect = connectBy(world, provider.network ?? network, wake);
        return { world, provider, journal, ledger, starts, connect, openHop: hopsOf(world), wake, looks, resolveHost };
      },
      [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
    };
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}

/** Whose credentials the journal's services are asked with where the catalogue says nothing: those of the command. */
export interface JournalClouds {
  readonly clouds?: Clouds | undefined;
  readonly credentials?: Readonly<Partial<Record<PlaceKey, string>>>;
}

/** A place with the profile of the command, if the cloud knows profiles and the catalogue names none. */
async function placed(
  { cloud, place }: Pick<SinkSettings, 'cloud' | 'place'>,
  { clouds, credentials = {} }: JournalClouds,
): Promise<SinkSettings['place']> {
  const { ownKeys } = (clouds ?? (await allClouds()))[cloud];
  const { profile } = credentials;
  return { ...(profile !== undefined && ownKeys.includes('profile') && { profile }), ...place };
}

/** The logs that the journal is sent to, each opened when there is something to send. Disposing it closes their connections. */
export function cloudLogs(
  world: World,
  settings: readonly SinkSettings[],
  asked: JournalClouds = {},
): AsyncDisposable & { readonly sinks: readonly NamedSink[] } {
  const lifetime = new Lifetime();
  const sinks = settings.map(({ name, cloud, log, place: own }): NamedSink => {
    const open = async () => {
      const place = await placed({ cloud, place: own }, asked);
      const question = { cloud, said: place, selection: place };
      const { providers } = lifetime.use(await composeProviders(world, question, {}, asked.clouds));
      const found = await providers[0]?.cloudLog?.(log, hostUser().host);
      if (found !== undefined) return found;
      throw new CloudtunError('CT_CONFIG', `${cloud} has no log service that a journal is sent to`);
    };
    return { name, open };
  });
  return { sinks, [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose]() };
}

/** Opens the key of a cloud's key service once, when a signature is due. */
interface CloudKeys extends AsyncDisposable {
  open(signal: AbortSignal): Promise<CloudSigningKey>;
}

/** The key that the journal's checkpoints are signed with where the settings name one of a cloud. Disposing it closes its connection. */
export function cloudKeys(world: World, settings: SigningKeySettings, asked: JournalClouds = {}): CloudKeys {
  const { cloud, key } = settings;
  const lifetime = new Lifetime();
  let opened: Promise<CloudSigningKey> | undefined;
  const open = async (signal: AbortSignal) => {
    const place = await placed(settings, asked);
    const question = { cloud, said: place, selection: place };
    const { providers } = lifetime.use(await composeProviders(world, question, {}, asked.clouds));
    const found = await providers[0]?.signingKey?.(key, signal);
    if (found !== undefined) return found;
    throw new CloudtunError('CT_CONFIG', `${cloud} has no key service that signs a journal`);
  };
  return {
    open: (signal) => {
      opened ??= open(signal).catch((error: unknown) => {
        opened = undefined;
        throw error;
      });
      return opened;
    },
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

async function checkpointKey(world: World, directory: string, signer: CloudKeys | undefined): Promise<CheckpointKey> {
  const { cloudKey, ownKey } = await import('./audit/journal-key.ts');
  return signer === undefined ? ownKey(world) : cloudKey(world, directory, signer.open);
}

/** The journal of this process, signed in its own time and sent to where the settings say. Disposing it ends its segment. */
export async function openJournal(
  world: World,
  settings: JournalSettings = { isRequired: true },
  asked: JournalClouds = {},
): Promise<AuditSink & { readonly path: string }> {
  const [{ Journal }, { PacedCheckpoints }] = await Promise.all([
    import('./audit/journal.ts'),
    import('./audit/paced-checkpoints.ts'),
  ]);
  const { configured, isRequired, keep, sinks = [] } = settings;
  const lifetime = new Lifetime();
  const signer = settings.key && lifetime.use(cloudKeys(world, settings.key, asked));
  const journal = new Journal(world, {
    configured,
    isRequired,
    pace: ({ path }) => new PacedCheckpoints(world, path, () => checkpointKey(world, path, signer), keep),
  });
  if (sinks.length === 0 && signer === undefined) return journal;
  const { deliverAtTheEnd, deliverNowAndThen } = await import('./audit/deliver-sinks.ts');
  const send = async () => {
    await using logs = cloudLogs(world, sinks, asked);
    await deliverAtTheEnd(world, journal.path, logs.sinks);
  };
  // Behind the journal's own end, which is a line as well.
  if (sinks.length > 0) lifetime.defer(send);
  lifetime.use(journal);
  if (sinks.length > 0) lifetime.use(deliverNowAndThen(world, send));
  return {
    path: journal.path,
    record: (event) => journal.record(event),
    [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
  };
}

/** What people call each cloud. */
export async function cloudLabels(): Promise<(cloud: ProviderId) => string> {
  const all = await allClouds();
  return (cloud) => all[cloud].label;
}

/** Logins on the way are made by the broker's wish and by nobody else's: the user is guessed where the hop names none. */
function hopsOf(world: World): HopOpener {
  return async ({ provider, target, user, port }, dialer, onEvent, signal) => {
    const { openHop } = await import('./ssh/open-hop.ts');
    return openHop(world, { provider, target, dialer }, { user, port }, onEvent, signal);
  };
}

function connectBy(world: World, network: NetworkSettings, wake: WakeWatch): TunnelOpener {
  return async (source, to, onEvent, signal, options) => {
    const { openTunnel } = await import('./transport/dialers.ts');
    return openTunnel(world, source, to, { ...options, network, wake, onEvent }, signal);
  };
}
