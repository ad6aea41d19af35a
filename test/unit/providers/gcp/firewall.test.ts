import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FirewallRule, judgeAdmission } from '../../../../src/providers/gcp/firewall.ts';
import { machineOf } from '../../../../src/providers/gcp/machines.ts';
import { instance, type RuleShape, rule } from '../../../support/gcp-answers.ts';

const machine = machineOf(instance({ name: 'web-1', tags: ['web'] }) as never, 'acme');
const IPV6 = machineOf(instance({ name: 'v6', ip: '', ipv6: 'fd00::5' }) as never, 'acme');
const judge = (rules: RuleShape[], port: number | 'any' = 22, of = machine) =>
  judgeAdmission(of, port === 'any' ? undefined : port, rules.map(rule) as FirewallRule[]);

describe('does the firewall let Identity-Aware Proxy in?', () => {
  const cases: [name: string, rules: RuleShape[], is: string, by: string | undefined][] = [
    ['no rules', [], 'closed', undefined],
    ['the range on the port', [{ name: 'iap', allow: ['tcp:22'] }], 'open', 'iap'],
    ['a wider range', [{ name: 'all', sources: ['0.0.0.0/0'], allow: ['all'] }], 'open', 'all'],
    ['a range of ports', [{ name: 'iap', allow: ['tcp:20-25'] }], 'open', 'iap'],
    ['another port', [{ name: 'iap', allow: ['tcp:443'] }], 'closed', undefined],
    ['another protocol', [{ name: 'iap', allow: ['udp:22'] }], 'closed', undefined],
    ['another range', [{ name: 'office', sources: ['203.0.113.0/24'], allow: ['tcp'] }], 'closed', undefined],
    ['a part of the range', [{ name: 'part', sources: ['35.235.240.0/24'], allow: ['tcp'] }], 'partly', 'part'],
    ['another network', [{ name: 'iap', network: 'backend', allow: ['tcp'] }], 'closed', undefined],
    ['switched off', [{ name: 'iap', allow: ['tcp'], disabled: true }], 'closed', undefined],
    ['for its tag', [{ name: 'iap', allow: ['tcp'], tags: ['web'] }], 'open', 'iap'],
    ['for another tag', [{ name: 'iap', allow: ['tcp'], tags: ['db'] }], 'closed', undefined],
    [
      'denied before it is allowed',
      [
        { name: 'iap', allow: ['tcp'] },
        { name: 'no', deny: ['tcp'], priority: 900, sources: ['0.0.0.0/0'] },
      ],
      'closed',
      'no',
    ],
    [
      'denied with the same priority',
      [
        { name: 'iap', allow: ['tcp'] },
        { name: 'no', deny: ['all'], sources: ['0.0.0.0/0'] },
      ],
      'closed',
      'no',
    ],
    [
      'denied after it is allowed',
      [
        { name: 'iap', allow: ['tcp'], priority: 900 },
        { name: 'no', deny: ['all'], sources: ['0.0.0.0/0'] },
      ],
      'open',
      'iap',
    ],
    [
      'a part, then all of it',
      [
        { name: 'part', sources: ['35.235.240.0/24'], allow: ['tcp'], priority: 900 },
        { name: 'iap', allow: ['tcp'] },
      ],
      'open',
      'iap',
    ],
  ];
  for (const [name, rules, is, by] of cases) {
    test(name, () => assert.deepEqual(judge(rules), { is, rule: by }));
  }

  test('on any port: some are enough, and one that is kept out says nothing', () => {
    assert.equal(judge([{ name: 'iap', allow: ['tcp:443'] }], 'any').is, 'open');
    const rules = [
      { name: 'no-ssh', deny: ['tcp:22'], priority: 1 },
      { name: 'iap', allow: ['tcp'] },
    ];
    assert.equal(judge(rules, 'any').is, 'open');
    assert.equal(judge(rules, 22).is, 'closed');
  });

  test('a machine with IPv6 only is reached from another range', () => {
    assert.equal(judge([{ name: 'iap', allow: ['tcp'] }], 22, IPV6).is, 'closed');
    assert.equal(judge([{ name: 'iap6', sources: ['2600:2d00:1:7::/64'], allow: ['tcp'] }], 22, IPV6).is, 'open');
  });
});
