import { composeProviders } from '../compose.ts';
import type { Catalogue, CatalogueTarget } from '../config/catalogue.ts';
import { asCloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { planSsh, questionOf } from '../plan/tunnel-plan.ts';
import { withDeadline } from '../runtime/deadline.ts';
import type { World } from '../runtime/world.ts';
import type { ConfigHost } from '../ssh/client-config.ts';

/** A person waits; a user that is not known is no error. */
const GUESS_LIMIT: Millis = 10_000;

/**
 * The hosts of a catalogue that OpenSSH can log in to, each with whom to log in as: what the catalogue says, else what the image of the
 * machine suggests.
 *
 * @param own names that the user's own config has blocks for
 */
export async function configHosts(
  world: World,
  catalogue: Catalogue,
  own: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly ConfigHost[]> {
  // What is not one word to ssh can be reached by no name of a config.
  const entries = [...catalogue.targets.values()].filter(
    ({ kind, name }) => kind !== 'database' && /^\w[\w.-]*$/.test(name),
  );
  return Promise.all(
    entries.map(async (entry) => ({
      name: entry.name,
      isTaken: own.has(entry.name),
      ...(await userOf(world, catalogue, entry, signal)),
    })),
  );
}

async function userOf(
  world: World,
  catalogue: Catalogue,
  entry: CatalogueTarget,
  signal: AbortSignal,
): Promise<Pick<ConfigHost, 'user' | 'remark'>> {
  const { place, name } = entry;
  if (entry.user !== undefined) return { user: entry.user, remark: `${entry.user}: ${place.file}` };
  if (entry.kind === 'host') return { remark: `${place.file} names no user` };
  try {
    const guess = await withDeadline(
      world.clock,
      GUESS_LIMIT,
      (limited) => guessed(world, catalogue, name, limited),
      signal,
    );
    return guess && /^[\w.@-]+$/.test(guess.user)
      ? { user: guess.user, remark: oneLine(`${guess.user}: ${guess.reason}`) }
      : { remark: 'the cloud suggests no user' };
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asCloudtunError(thrown);
    const why = thrown instanceof DOMException ? 'the cloud did not answer' : `${error.message} (${error.code})`;
    return { remark: oneLine(`no user is known: ${why}`) };
  }
}

async function guessed(world: World, catalogue: Catalogue, name: string, signal: AbortSignal) {
  const plan = planSsh(name, {}, catalogue, { port: 22, use: 'ssh-config' });
  // Behind other machines only they see it.
  if (plan.request.via !== undefined) return undefined;
  await using clouds = await composeProviders(world, questionOf(plan), {});
  const [provider] = clouds.providers;
  const machine = await provider!.finder.findMachine(plan.request.text, { mustBeOnline: false }, signal);
  return machine.kind === 'machine' ? provider!.logins?.guessUser(machine, signal) : undefined;
}

/** It becomes a comment of a config file. */
function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 200);
}
