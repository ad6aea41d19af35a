import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { TunnelRequest } from '../../../src/broker/broker-types.ts';
import { type CandidateCloud, settleCloud } from '../../../src/broker/settle-cloud.ts';
import type { ErrorCode } from '../../../src/domain/error-catalogue.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import type { ProviderId } from '../../../src/domain/target.ts';
import { FakeProvider } from '../../support/fake-provider.ts';
import { manualWorld } from '../../support/manual-world.ts';

const WEB: TunnelRequest = { kind: 'machine', text: 'web-1', to: [{ port: 80 }] };
const never = new AbortController().signal;

/** A cloud that has the machine, or fails with what is given. */
function cloud(id: ProviderId, failure?: CloudtunError) {
  const provider = new FakeProvider();
  provider.node = { ...provider.node, id: `${id}-1`, name: 'web-1' };
  if (failure) provider.failures.set('findMachine', failure);
  return { id, provider } satisfies CandidateCloud;
}

const failure = (code: ErrorCode, message: string = code, hint: readonly string[] = []) =>
  new CloudtunError(code, message, { hint });

async function settled(...candidates: readonly CandidateCloud[]) {
  const { world, logs } = manualWorld({});
  return { ...(await settleCloud(world, candidates, WEB, never)), logs };
}

async function refused(...candidates: readonly CandidateCloud[]): Promise<CloudtunError> {
  const error = await settled(...candidates).catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CloudtunError);
  return error;
}

suite('which cloud has it', () => {
  test('one candidate is not asked', async () => {
    const only = cloud('aws');
    const { provider, target } = await settled(only);
    assert.equal(provider, only.provider);
    assert.equal(target, undefined);
    assert.deepEqual(only.provider.calls, []);
  });

  test('the one that has it, and what was found is not asked for twice', async () => {
    const { provider, target } = await settled(cloud('aws', failure('CT_TARGET_NOT_FOUND')), cloud('gcp'));
    assert.equal(provider.finder !== undefined && target?.id, 'gcp-1');
  });

  test('a cloud that cannot be asked does not hide it, and is told', async () => {
    const { target, logs } = await settled(cloud('aws', failure('CT_NO_CREDENTIALS', 'no credentials')), cloud('gcp'));
    assert.equal(target?.id, 'gcp-1');
    assert.deepEqual(
      logs.map(({ level, message }) => [level, message]),
      [['warn', 'aws could not be asked for "web-1": no credentials (CT_NO_CREDENTIALS); gcp:web-1 is taken']],
    );
    const setUp = await settled({ id: 'aws', error: failure('CT_NO_PROFILE') }, cloud('gcp'));
    assert.equal(setUp.target?.id, 'gcp-1');
  });

  test('both: which are listed, with their prefixes', async () => {
    const error = await refused(cloud('aws'), cloud('gcp'));
    assert.equal(error.code, 'CT_TARGET_AMBIGUOUS');
    assert.deepEqual(
      error.details.map(([label]) => label),
      ['aws:web-1', 'gcp:web-1'],
    );
    assert.deepEqual(error.hints, ['say which: aws:web-1 or gcp:web-1']);
  });

  for (const code of ['CT_TARGET_STOPPED', 'CT_TARGET_OFFLINE', 'CT_TARGET_AMBIGUOUS'] as const) {
    test(`${code} is a cloud that has it`, async () => {
      assert.equal((await refused(cloud('aws', failure(code)), cloud('gcp'))).code, 'CT_TARGET_AMBIGUOUS');
      const error = failure(code);
      assert.equal(await refused(cloud('aws', error), cloud('gcp', failure('CT_TARGET_NOT_FOUND'))), error);
    });
  }

  test('nowhere: one answer, with the nearest names of both', async () => {
    const error = await refused(
      cloud('aws', failure('CT_TARGET_NOT_FOUND', 'none in aws', ['did you mean: web-2, web-3', 'see all: x'])),
      cloud('gcp', failure('CT_TARGET_NOT_FOUND', 'none in gcp', ['did you mean: web-3, web-4', 'see all: x'])),
    );
    assert.equal(error.code, 'CT_TARGET_NOT_FOUND');
    assert.equal(error.message, 'none in aws, and none in gcp');
    assert.deepEqual(error.hints, ['did you mean: web-2, web-3, web-4', 'see all: x']);
  });

  test('nowhere, and one could not be asked: its error, and what the other said', async () => {
    const denied = failure('CT_NO_CREDENTIALS', 'no credentials', ['sign in']);
    const error = await refused(cloud('aws', failure('CT_TARGET_NOT_FOUND', 'none in aws')), cloud('gcp', denied));
    assert.deepEqual([error.code, error.exitCode, error.message], ['CT_NO_CREDENTIALS', 3, 'no credentials']);
    assert.deepEqual(error.details, [['aws', 'none in aws (CT_TARGET_NOT_FOUND)']]);
    assert.deepEqual(error.hints, ['sign in']);
  });

  test('what all clouds say is said once', async () => {
    const empty = () => failure('CT_USAGE', 'the name of the target is empty', ['see all']);
    const error = await refused(cloud('aws', empty()), cloud('gcp', empty()));
    assert.deepEqual([error.message, error.details, error.hints], ['the name of the target is empty', [], ['see all']]);
  });

  test('one that does not answer is waited for 5 s after another has it', async () => {
    const { world, clock } = manualWorld({});
    const silent = cloud('aws');
    silent.provider.finder.findMachine = () => new Promise(() => {});
    const settling = settleCloud(world, [silent, cloud('gcp')], WEB, never);
    await clock.advance(5_000);
    assert.equal((await settling).target?.id, 'gcp-1');
    assert.equal(clock.pending, 0);
  });

  test('calling it off ends it', async () => {
    const { world } = manualWorld({});
    const stop = new AbortController();
    const silent = cloud('aws');
    silent.provider.finder.findMachine = () => new Promise(() => {});
    const settling = settleCloud(world, [silent, silent], WEB, stop.signal);
    stop.abort(new Error('called off'));
    await assert.rejects(settling, /called off/);
  });
});
