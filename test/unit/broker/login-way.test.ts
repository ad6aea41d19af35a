import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findChain, loginWay } from '../../../src/broker/login-way.ts';
import { CloudtunError } from '../../../src/domain/errors.ts';
import { parseHopName } from '../../../src/domain/hop-name.ts';
import { BASTION, FakeProvider } from '../../support/fake-provider.ts';

const never = new AbortController().signal;

/** What host keys of the machines behind the bastion are remembered by; no cloud knows any of them. */
async function idsOf(via: readonly string[], text: string, hasEnd = false): Promise<readonly string[]> {
  const finder: FakeProvider['finder'] = {
    ...new FakeProvider().finder,
    findMachine: () => Promise.reject(new CloudtunError('CT_TARGET_NOT_FOUND', 'nobody is called that')),
  };
  const to = hasEnd ? [{ port: 22 }] : [{ host: 'db', port: 5432 }];
  const request = { kind: 'machine' as const, text, via: ['bastion', ...via].map(parseHopName), to };
  const { hops, end } = await findChain(finder, request, loginWay(request), BASTION, never);
  return [...hops, ...(end.kind === 'machine' ? [end.found] : [])].map(({ target }) => target.id);
}

test('a host is known by all that it is reached through: the same name behind another machine is another host', async () => {
  assert.deepEqual(await idsOf([], 'db', true), ['i-0bastion>db']);
  assert.deepEqual(await idsOf(['b'], 'DB', true), ['i-0bastion>b', 'i-0bastion>b>db']);
  assert.deepEqual(await idsOf(['c'], 'db'), ['i-0bastion>c', 'i-0bastion>c>db']);
});
