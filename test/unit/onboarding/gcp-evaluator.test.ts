import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CelAttributes, evaluateCel } from '../../../src/onboarding/core/cel-condition.ts';
import { evaluateGcp, type GcpBinding, resourceLine } from '../../../src/onboarding/core/gcp-evaluator.ts';

const NOW = Date.parse('2026-11-23T09:30:00Z');
const KNOWN: CelAttributes = {
  destinationPort: 5432,
  destinationIp: '10.1.2.3',
  time: NOW,
  accessLevels: ['accessPolicies/1/accessLevels/office'],
  resourceName: 'projects/p/iap_tunnel/zones/z/instances/i',
  resourceType: 'iap.googleapis.com/TunnelInstance',
  resourceService: 'iap.googleapis.com',
  resourceTags: { 'acme/env': 'prod' },
};

describe('conditions', () => {
  for (const [expression, expected] of [
    ['destination.port == 5432', 'yes'],
    ['destination.port == 22', 'no'],
    ['destination.port in [22, 5432]', 'yes'],
    ["destination.ip == '10.1.2.3' && destination.port == 5432", 'yes'],
    ['inIpRange(destination.ip, "10.0.0.0/8")', 'yes'],
    ['request.time < timestamp("2026-12-31T18:00:00Z")', 'yes'],
    ['request.time < timestamp("2026-11-23T09:30:00Z")', 'no'],
    ['request.time < timestamp("2026-11-23T10:30:00+01:00") + duration("1s")', 'yes'],
    ['request.time.getHours("Asia/Tokyo") == 18 && request.time.getDayOfWeek() == 1', 'yes'],
    ['request.time.getHours("Europe/Berlin") >= 11', 'no'],
    ['"accessPolicies/1/accessLevels/office" in request.auth.access_levels', 'yes'],
    ['"accessPolicies/1/accessLevels/vpn" in request.auth.access_levels', 'no'],
    ['resource.service == "iap.googleapis.com" && resource.type == "iap.googleapis.com/TunnelInstance"', 'yes'],
    ['resource.name.startsWith("projects/p/")', 'yes'],
    ['resource.name.extract("zones/{zone}/") == "z"', 'yes'],
    ['resource.matchTag("acme/env", "prod")', 'yes'],
    ['resource.hasTagKey("acme/team")', 'no'],
    // A part that is wrong does not matter where the other part decides.
    ['destination.port == 5432 || request.time < timestamp("soon")', 'yes'],
  ] as const) {
    test(expression, () => assert.equal(evaluateCel(expression, KNOWN).holds, expected));
  }
});

describe('hostile and wrong conditions are unknown', () => {
  const deep = `${'('.repeat(2_000)}true${')'.repeat(2_000)}`;
  const wide = Array.from({ length: 1_000 }, () => 'true').join('&&');
  const nested = '[1,2].all(a, [1,2].all(b, [1,2].all(c, true)))';
  for (const [what, expression, reason] of [
    ['not CEL', 'destination.port ==', /cannot be judged/],
    ['empty', '', /cannot be judged/],
    ['an attribute that is misspelt', 'destination.prot == 1', /No such key/],
    ['a variable that is not there', 'origin.ip == "1"', /Unknown variable/],
    ['a wrong type', 'destination.port == "5432"', /no such overload/],
    ['no yes or no', 'destination.port', /gives int/],
    ['a time that is none', 'request.time < timestamp("soon")', /cannot be judged/],
    ['a zone that is none', 'request.time.getHours("Mars/Base") > 1', /cannot be judged/],
    ['a regular expression', 'resource.name.matches("(p+)+$")', /no matches\(\)/],
    ['macros', nested, /no all\(\)/],
    ['map literals', '{"a": 1} == {"a": 1}', /no map expressions/],
    ['indexes', 'request.auth.access_levels[0] == "x"', /no \[\] expressions/],
    ['depth', deep, /maxDepth|characters/],
    ['width', wide, /characters|maxAstNodes/],
    ['length', `destination.ip == "${'x'.repeat(100_000)}"`, /longer than/],
    ['prototype', 'resource.constructor == resource', /./],
    ['prototype of prototypes', 'destination.__proto__ == destination', /./],
  ] as const) {
    test(what, () => {
      const outcome = evaluateCel(expression, KNOWN);
      assert.equal(outcome.holds, 'unknown');
      assert.match(outcome.reason, reason);
    });
  }

  for (const expression of [
    'destination.port == 5432',
    'destination.ip == "10.1.2.3"',
    'request.time < timestamp("2026-12-31T18:00:00Z")',
    '"x" in request.auth.access_levels',
    'resource.name == "x"',
    'resource.matchTag("acme/env", "prod")',
    '!resource.matchTag("acme/env", "prod")',
  ]) {
    test(`what it needs is not known: ${expression}`, () => assert.equal(evaluateCel(expression, {}).holds, 'unknown'));
  }
});

const ALICE = { email: 'alice@example.com', kind: 'user', groups: ['readers@example.com'] } as const;
const VM = 'projects/p/iap_tunnel/zones/z/instances/i';
const ACCESS = 'iap.tunnelInstances.accessViaIAP';
const accessor = (members: readonly string[], expression?: string): GcpBinding => ({
  role: 'roles/iap.tunnelResourceAccessor',
  members,
  ...(expression === undefined ? {} : { condition: { title: 'only', expression } }),
});

function decide(
  policies: Readonly<Record<string, readonly GcpBinding[]>>,
  permission = ACCESS,
  who: Parameters<typeof evaluateGcp>[2]['who'] = ALICE,
) {
  const roles = { 'projects/p/roles/look': ['compute.instances.get'] };
  const request = { who, permission, resource: VM, attributes: KNOWN };
  return evaluateGcp((resource) => policies[resource] ?? [], roles, request);
}

describe('bindings', () => {
  test('nothing allows nothing', () => assert.equal(decide({}).decision, 'denied'));

  for (const [member, expected] of [
    ['user:alice@example.com', 'allowed'],
    ['user:Alice@Example.com', 'allowed'],
    ['user:bob@example.com', 'denied'],
    ['group:readers@example.com', 'allowed'],
    ['group:writers@example.com', 'denied'],
    ['domain:example.com', 'allowed'],
    ['domain:example.org', 'denied'],
    ['allAuthenticatedUsers', 'allowed'],
    ['serviceAccount:alice@example.com', 'denied'],
    ['deleted:user:alice@example.com?uid=1', 'denied'],
    ['principalSet://iam.googleapis.com/x', 'unknown'],
  ] as const) {
    test(member, () => assert.equal(decide({ [VM]: [accessor([member])] }).decision, expected));
  }

  test('a binding counts on everything above', () => {
    for (const place of resourceLine(VM)) {
      assert.equal(decide({ [place]: [accessor(['user:alice@example.com'])] }).decision, 'allowed', place);
    }
    assert.equal(decide({ 'projects/p/iap_tunnel/zones/y': [accessor(['allUsers'])] }).decision, 'denied');
  });

  test('the line of a destination group, an instance and a project', () => {
    assert.deepEqual(resourceLine('projects/p/iap_tunnel/locations/r/destGroups/g'), [
      'projects/p/iap_tunnel/locations/r/destGroups/g',
      'projects/p/iap_tunnel/locations/r',
      'projects/p/iap_tunnel',
      'projects/p',
    ]);
    assert.deepEqual(resourceLine('projects/p/zones/z/instances/i'), ['projects/p/zones/z/instances/i', 'projects/p']);
    assert.deepEqual(resourceLine('projects/p'), ['projects/p']);
  });

  test('a condition that fails is told with its title', () => {
    const verdict = decide({ [VM]: [accessor(['user:alice@example.com'], 'destination.port == 22')] });
    assert.equal(verdict.decision, 'denied');
    assert.equal(verdict.bindings[0]?.reason, 'condition only: destination.port == 22 is false');
  });

  test('one binding that grants is enough, and one that cannot be judged is none', () => {
    const broken = accessor(['user:alice@example.com'], 'destination.prot == 1');
    const good = accessor(['group:readers@example.com'], 'destination.port == 5432');
    assert.equal(decide({ [VM]: [broken] }).decision, 'unknown');
    assert.equal(decide({ [VM]: [broken], 'projects/p': [good] }).decision, 'allowed');
  });

  test('roles: contained, not contained, custom, unknown', () => {
    const of = (role: string, permission: string) =>
      decide({ 'projects/p': [{ role, members: ['allUsers'] }] }, permission).decision;
    assert.equal(of('roles/owner', ACCESS), 'allowed');
    assert.equal(of('roles/compute.viewer', ACCESS), 'denied');
    assert.equal(of('projects/p/roles/look', 'compute.instances.get'), 'allowed');
    assert.equal(of('projects/p/roles/look', 'compute.instances.list'), 'denied');
    assert.equal(of('roles/editor', ACCESS), 'unknown');
    assert.equal(of('__proto__', ACCESS), 'unknown');
  });
});
