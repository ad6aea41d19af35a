import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IapHost, IapInstance } from '../../src/domain/ticket.ts';
import { relayRoot } from '../../src/providers/gcp/relay.ts';
import { connectUrl, reconnectUrl } from '../../src/transport/iap/core/relay-url.ts';
import { bytesOf, iapVectors, reportIapVectors, type VectorTarget } from '../support/iap-vectors.ts';

function targetOf({ project = '', zone = '', instance = '', ...rest }: VectorTarget): IapInstance | IapHost {
  if (rest.host === undefined) {
    return { kind: 'instance', project, zone, instance, networkInterface: rest.interface ?? '' };
  }
  const { region = '', network = '', host, dest_group: group } = rest;
  return { kind: 'host', project, region, network, host, ...(group === undefined ? {} : { group }) };
}

test('addresses are built as the official client builds them', (t) => {
  const listed = {
    'override wss://user:pw@relay.test/v4?drop=me#frag': 'an override with a password in it is refused here (checked)',
    'override relay.test:8443/v4': 'an override without a scheme is refused here (checked)',
  };
  const all = iapVectors('urls');
  let run = 0;
  for (const vector of all) {
    const { target, kind, name } = vector;
    const env = target.url_override === undefined ? {} : { CLOUDTUN_IAP_ENDPOINT: target.url_override };
    const root = () => relayRoot(env, vector.universeDomain ?? 'googleapis.com', vector.clientCertificate ?? false);
    if (name in listed) {
      assert.throws(root, { code: 'CT_CONFIG' }, name);
      continue;
    }
    const url =
      kind === 'connect'
        ? connectUrl(root(), targetOf(target), target.port!)
        : reconnectUrl(root(), targetOf(target), bytesOf(vector.sid!), BigInt(vector.ack!));
    assert.equal(url, vector.url, name);
    run += 1;
  }
  reportIapVectors(t, 'urls', run, all.length, listed);
});

test('what the official client checks of its flags cannot be expressed here', (t) => {
  const all = iapVectors('parameterChecks');
  let run = 0;
  const listed: Record<string, string> = {};
  for (const { name, target, ok } of all) {
    if (ok) {
      const url = new URL(connectUrl('wss://relay.test/v4', targetOf(target), target.port!));
      const missing = [...url.searchParams].filter(([, value]) => value === '');
      assert.deepEqual(missing, [], name);
      run += 1;
    } else listed[name] = 'a policy of its flags; a ticket has all fields of one kind of target, by type';
  }
  reportIapVectors(t, 'parameterChecks', run, all.length, listed);
});
