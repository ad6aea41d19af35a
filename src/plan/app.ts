import type { BrokerContext } from '../broker/broker-types.ts';
import type { CloudQuestion } from '../broker/candidate-clouds.ts';
import type { SessionLedger } from '../broker/session-ledger.ts';
import type { CandidateCloud } from '../broker/settle-cloud.ts';
import type { JournalSettings } from '../config/journal-settings.ts';
import type { AuditSink } from '../domain/audit-sink.ts';
import type { Provider } from '../providers/provider.ts';
import type { World } from '../runtime/world.ts';
import type { LocalMemory } from '../transport/local-memory.ts';
import type { PeerWatch } from '../transport/peer-watch.ts';

/** What is known of what will be opened: which cloud it may be in, and how it is recorded. */
export interface AppQuestion extends CloudQuestion {
  /** As where the catalogue says nothing, when absent. */
  readonly journal?: JournalSettings;
}

/** The providers that a command asks, and what kept others from being made. */
export interface ProviderSet extends AsyncDisposable {
  /** At least one has a provider. */
  readonly candidates: readonly CandidateCloud[];
  /** Those that could be made. */
  readonly providers: readonly Provider[];
  /** For people with nothing set up at all: what to do first, a line for each cloud. */
  readonly firstSteps: readonly string[];
}

/** What opening tunnels needs; `compose.ts` makes it. Disposing it closes journal and connections; tunnels are disposed before it. */
export interface App extends ProviderSet {
  readonly world: World;
  readonly journal: AuditSink;
  readonly ledger: SessionLedger;
  readonly peers: PeerWatch;
  readonly memory: LocalMemory;
  /** Where the journal of this app is: a directory of segments, or one file (audit/read-journal.ts reads both). */
  readonly journalPath: string;
  /** What the broker needs, once it is settled which cloud it is. */
  contextFor(provider: Provider): BrokerContext;
}
