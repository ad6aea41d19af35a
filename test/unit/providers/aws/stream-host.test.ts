import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isSessionManagerHost, streamHostRules, streamUrlToDial } from '../../../../src/providers/aws/stream-host.ts';

const PATH = '/v1/data-channel/alice-0a1b?role=publish_subscribe&cell-number=AAE+/w==';
const rules = (env: Record<string, string> = {}, endpoint?: string) => streamHostRules(env, endpoint);
const LAB = 'http://127.0.0.1:4566';

test('hosts of AWS Session Manager, and look-alikes', () => {
  const hosts: [host: string, isOurs: boolean][] = [
    ['ssmmessages.eu-west-1.amazonaws.com', true],
    ['ssmmessages-fips.us-east-1.amazonaws.com', true],
    ['ssmmessages.us-gov-west-1.amazonaws.com', true],
    ['ssmmessages.cn-north-1.amazonaws.com.cn', true],
    ['ssmmessages.eusc-de-east-1.amazonaws.eu', true],
    ['ssmmessages.us-iso-east-1.c2s.ic.gov', true],
    ['ssmmessages.us-isob-east-1.sc2s.sgov.gov', true],
    ['ssmmessages.eu-isoe-west-1.cloud.adc-e.uk', true],
    ['ssmmessages.us-isof-south-1.csp.hci.ic.gov', true],
    ['ssmmessages.eu-west-1.api.aws', true],
    ['ssmmessages-fips.us-west-2.api.aws', true],
    ['ssmmessages.cn-north-1.api.amazonwebservices.com.cn', true],
    ['vpce-0a1b2c3d-xyz.ssmmessages.eu-west-1.vpce.amazonaws.com', true],
    ['vpce-0a1b2c3d-xyz-eu-west-1a.ssmmessages.eu-west-1.vpce.amazonaws.com', true],
    ['vpce-0a1b.ssmmessages.cn-north-1.vpce.amazonaws.com.cn', true],
    ['ssm.eu-west-1.amazonaws.com', false],
    ['ssmmessages.eu-west-1.amazonaws.com.evil.example', false],
    ['evil.example', false],
    ['ssmmessages.evil.amazonaws.com', false],
    ['xssmmessages.eu-west-1.amazonaws.com', false],
    ['a.ssmmessages.eu-west-1.amazonaws.com', false],
    ['ssmmessages.eu-west-1.amazonaws.org', false],
    ['ssmmessages.eu-west-1.amazonawsXcom', false],
    ['ssmmessages.eu-west-1.elb.amazonaws.com', false],
    ['vpce-1.ssm.eu-west-1.vpce.amazonaws.com', false],
    ['vpce-1.ssmmessages.eu-west-1.amazonaws.com', false],
    ['ssmmessages.eu-west-1.amazonaws.com.', false],
    ['bucket.s3.eu-west-1.amazonaws.com', false],
    ['127.0.0.1', false],
    ['', false],
  ];
  for (const [host, isOurs] of hosts) assert.equal(isSessionManagerHost(host), isOurs, host);
});

describe('the URL to dial', () => {
  const taken: [name: string, url: string, env: Record<string, string>, endpoint: string | undefined][] = [
    ['as it came, byte for byte', `wss://ssmmessages.eu-west-1.amazonaws.com${PATH}`, {}, undefined],
    ['with the port of TLS', `wss://ssmmessages.eu-west-1.amazonaws.com:443${PATH}`, {}, undefined],
    ['loopback, from an API on loopback', `ws://127.0.0.1:5000${PATH}`, {}, LAB],
    ['loopback by TLS', `wss://[::1]:5000${PATH}`, {}, 'https://localhost:1'],
    [
      'a host that was allowed',
      `wss://relay.corp:8443${PATH}`,
      { CLOUDTUN_STREAM_HOSTS: 'other, RELAY.corp' },
      undefined,
    ],
    [
      'a host below one that was allowed',
      `wss://a.relay.corp${PATH}`,
      { CLOUDTUN_STREAM_HOSTS: '*.relay.corp' },
      undefined,
    ],
  ];
  for (const [name, url, env, endpoint] of taken) {
    test(name, () => assert.equal(streamUrlToDial(url, rules(env, endpoint)), url));
  }

  const refused: [name: string, url: string, env: Record<string, string>, endpoint: string | undefined][] = [
    ['another host', `wss://evil.example${PATH}`, {}, undefined],
    ['another port', `wss://ssmmessages.eu-west-1.amazonaws.com:8443${PATH}`, {}, undefined],
    ['without TLS', `ws://ssmmessages.eu-west-1.amazonaws.com${PATH}`, {}, undefined],
    ['loopback, from an API elsewhere', `wss://127.0.0.1${PATH}`, {}, undefined],
    ['loopback, from an API on a private address', `ws://127.0.0.1${PATH}`, {}, 'http://10.0.0.1'],
    ['elsewhere, from an API on loopback, without TLS', `ws://10.0.0.1${PATH}`, {}, LAB],
    ['elsewhere, from an API on loopback', `wss://10.0.0.1${PATH}`, {}, LAB],
    ['a user name before the host', `wss://ssmmessages.eu-west-1.amazonaws.com@evil.example${PATH}`, {}, undefined],
    ['https', `https://ssmmessages.eu-west-1.amazonaws.com${PATH}`, {}, undefined],
    ['no URL', 'nonsense', {}, undefined],
    ['nothing', '', {}, undefined],
    ['an allowed host without TLS', `ws://relay.corp${PATH}`, { CLOUDTUN_STREAM_HOSTS: 'relay.corp' }, undefined],
    [
      'a host that only ends like an allowed one',
      `wss://evilrelay.corp${PATH}`,
      { CLOUDTUN_STREAM_HOSTS: '.relay.corp' },
      undefined,
    ],
    ['a backslash, which URL parsers read as a slash', `wss://evil.example\\.amazonaws.com${PATH}`, {}, undefined],
  ];
  for (const [name, url, env, endpoint] of refused) {
    test(`refused: ${name}`, () => {
      assert.throws(() => streamUrlToDial(url, rules(env, endpoint)), { code: 'CT_STREAM_HOST' });
    });
  }

  test('only host and port are replaced for a VPC endpoint without private DNS', () => {
    const vpce = 'vpce-0a1b.ssmmessages.eu-west-1.vpce.amazonaws.com';
    for (const value of [vpce, `https://${vpce}`, `wss://${vpce}/`, ` ${vpce} `]) {
      const dialled = streamUrlToDial(
        `wss://ssmmessages.eu-west-1.amazonaws.com${PATH}`,
        rules({ CLOUDTUN_SSMMESSAGES_ENDPOINT: value }),
      );
      assert.equal(dialled, `wss://${vpce}${PATH}`);
    }
    const withPort = rules({ CLOUDTUN_SSMMESSAGES_ENDPOINT: '10.0.0.9:8443' });
    assert.equal(
      streamUrlToDial(`wss://ssmmessages.eu-west-1.amazonaws.com${PATH}`, withPort),
      `wss://10.0.0.9:8443${PATH}`,
    );
    assert.throws(() => streamUrlToDial(`wss://evil.example${PATH}`, withPort), { code: 'CT_STREAM_HOST' });
  });

  test('an override that is no host', () => {
    for (const value of ['a b', 'host/path', 'user@host', 'host?x', 'host:port']) {
      assert.throws(() => rules({ CLOUDTUN_SSMMESSAGES_ENDPOINT: value }), { code: 'CT_CONFIG' }, value);
    }
  });
});
