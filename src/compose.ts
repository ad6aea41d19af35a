import type { BrokerContext, TunnelOpener } from './broker/broker-types.ts';
import type { CloudSelection, Prompts, Provider } from './providers/provider.ts';
import { Lifetime } from './runtime/lifetime.ts';
import type { NetworkSettings } from './runtime/network.ts';
import type { World } from './runtime/world.ts';
import type { LocalMemory } from './transport/local-memory.ts';
import type { PeerWatch } from './transport/peer-watch.ts';

/*
 * The only file that knows concrete classes, each loaded on first use: `cloudtun --help` reads no SDK, `targets` no websocket.
 */

/** The provider that a command asks; there is one cloud in this version. */
export async function composeProvider(world: World, selection: CloudSelection, prompts: Prompts): Promise<Provider> {
  const { PROVIDERS } = await import('./providers/registry.ts');
  return PROVIDERS.aws.create(world, selection, prompts);
}

/** What opening tunnels needs. Disposing it closes journal and connections; tunnels are disposed before it. */
export interface App extends BrokerContext, AsyncDisposable {
  readonly peers: PeerWatch;
  readonly memory: LocalMemory;
  /** Where the journal of this app is. */
  readonly journalPath: string;
}

/**
 * Puts together what opens tunnels in one account and region. Asks nothing of the cloud.
 *
 * @throws what the provider's factory throws: CT_NO_PROFILE, CT_TLS, CT_PROXY
 */
export async function composeApp(world: World, selection: CloudSelection, prompts: Prompts): Promise<App> {
  const lifetime = new Lifetime();
  try {
    const [{ Journal }, { SessionLedger }, { networkSettings }, { PeerWatch }, { LocalMemory }, { HeapKeeper }] =
      await Promise.all([
        import('./audit/journal.ts'),
        import('./broker/session-ledger.ts'),
        import('./runtime/network.ts'),
        import('./transport/peer-watch.ts'),
        import('./transport/local-memory.ts'),
        import('./runtime/heap-keeper.ts'),
      ]);
    const journal = lifetime.use(new Journal(world));
    const network = lifetime.use(await networkSettings(world));
    const provider = lifetime.use(await composeProvider(world, selection, prompts));
    return {
      world,
      provider,
      journal,
      journalPath: journal.path,
      ledger: new SessionLedger(world),
      peers: new PeerWatch(world),
      memory: new LocalMemory(new HeapKeeper(world.clock)),
      connect: connectBy(world, provider.network ?? network),
      [Symbol.asyncDispose]: () => lifetime[Symbol.asyncDispose](),
    };
  } catch (error) {
    await lifetime[Symbol.asyncDispose]();
    throw error;
  }
}

function connectBy(world: World, network: NetworkSettings): TunnelOpener {
  return async (source, to, onEvent, signal) => {
    const { openTunnel } = await import('./transport/dialers.ts');
    return openTunnel(world, source, to, { network, onEvent }, signal);
  };
}
