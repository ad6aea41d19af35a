import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { CloudtunError } from '../../src/domain/errors.ts';
import { formatForwardRule, type ParsedRule, parseForwardRule } from '../../src/forward/forward-rule.ts';

const ipv6 = fc.ipV6().filter(isIPv6);
const hostName = fc.domain().filter((host) => host.length <= 253);
const remoteHost = fc.oneof(
  hostName,
  fc.ipV4().filter((host) => isIPv4(host) && host !== '127.0.0.1'),
  ipv6,
);
const rules: fc.Arbitrary<ParsedRule> = fc
  .record({
    bind: fc.option(fc.oneof(fc.ipV4(), ipv6, fc.constantFrom('*', 'localhost')), { nil: undefined }),
    port: fc.nat(65_535),
    host: fc.option(remoteHost, { nil: undefined }),
    remotePort: fc.integer({ min: 1, max: 65_535 }),
  })
  .map(({ bind, port, host, remotePort }) => ({
    port,
    to: host === undefined ? { port: remotePort } : { host, port: remotePort },
    ...(bind !== undefined && { bind }),
  }));

test('whatever is formatted is parsed back', () => {
  fc.assert(
    fc.property(rules, (rule) => {
      assert.deepEqual(parseForwardRule(formatForwardRule(rule)), rule);
    }),
  );
});

test('any text is a rule that means what its long spelling means, or CT_USAGE', () => {
  const likely = fc
    .array(fc.constantFrom(':', '[', ']', '*', '.', '0', '1', '80', '8080', '::1', 'host', 'localhost', '-', ' '), {
      maxLength: 9,
    })
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(likely, fc.string(), fc.string({ unit: 'binary' })), (text) => {
      let rule: ParsedRule;
      try {
        rule = parseForwardRule(text);
      } catch (error) {
        assert.ok(error instanceof CloudtunError && error.code === 'CT_USAGE', String(error));
        return;
      }
      assert.deepEqual(parseForwardRule(formatForwardRule(rule)), rule);
      assert.ok(rule.port >= 0 && rule.port <= 65_535 && rule.to.port >= 1 && rule.to.port <= 65_535);
    }),
    { numRuns: 2_000 },
  );
});
