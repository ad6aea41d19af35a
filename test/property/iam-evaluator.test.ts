/**
 * Our evaluator of IAM policies and an independent one (`@cloud-copilot/iam-simulate`) agree. Random policies hold only what AWS documents
 * an answer for. Left out, because the two differ or AWS says nothing, each settled in a unit test of its own:
 *
 * - a negated operator with a variable that has no value: ours says unknown, theirs no match
 * - dates as seconds since 1970, and years alone: theirs compares them as milliseconds
 * - a list compared without a set operator; `ForAnyValue:…IfExists` without the key
 * - NotResource with an ARN of fewer than six parts: ours says unknown where it does not fit
 * - `${*}` in StringEquals: theirs compares it unfilled
 * - NotIpAddress between IPv4 and IPv6: theirs says no match, AWS "all addresses except"
 * - wildcards in the partition, service, region or account that run on over colons (the IAM user guide allows it for a last `*`)
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import fc from 'fast-check';
import { evaluateIam } from '../../src/onboarding/core/iam-evaluator.ts';
import { type IamPolicy, readIamPolicy } from '../../src/onboarding/core/iam-policy.ts';
import { IAM_CASE_ACCOUNT, iamCase } from '../support/random-iam.ts';

const CASES = 10_000;
const SEED = 20_261_122;

function read(name: string, document: object): IamPolicy {
  const found = readIamPolicy(name, document);
  assert.ok(found.ok, found.ok ? '' : found.problem);
  return found.policy;
}

const DECISIONS = { Allowed: 'allowed', ExplicitlyDenied: 'explicit-deny', ImplicitlyDenied: 'implicit-deny' } as const;

test(`agrees with iam-simulate on ${CASES} random policies and requests`, async (t) => {
  const counts: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(iamCase, async ({ identity, boundary, session, request, context }) => {
      const ours = evaluateIam(
        {
          identity: identity.map((document, index) => read(`policy ${index}`, document)),
          ...(boundary === undefined ? {} : { boundary: read('boundary', boundary) }),
          ...(session === undefined ? {} : { session: [read('session', session)] }),
        },
        { ...request, context },
      );
      const theirs = await runSimulation(
        {
          identityPolicies: identity.map((policy, index) => ({ name: `policy ${index}`, policy })),
          ...(boundary === undefined ? {} : { permissionBoundaryPolicies: [{ name: 'boundary', policy: boundary }] }),
          ...(session === undefined ? {} : { sessionPolicy: session }),
          serviceControlPolicies: [],
          resourceControlPolicies: [],
          request: {
            action: request.action,
            principal: `arn:aws:sts::${IAM_CASE_ACCOUNT}:assumed-role/readers/alice`,
            resource: { resource: request.resource, accountId: IAM_CASE_ACCOUNT },
            contextVariables: context as Record<string, string | string[]>,
          },
        },
        {},
      );
      assert.ok(theirs.resultType === 'single', JSON.stringify(theirs));
      counts[ours.decision] = (counts[ours.decision] ?? 0) + 1;
      assert.equal(ours.decision, DECISIONS[theirs.overallResult]);
    }),
    { numRuns: CASES, seed: SEED },
  );
  t.diagnostic(JSON.stringify(counts));
  // A generator that allows next to nothing would prove next to nothing.
  for (const decision of Object.values(DECISIONS)) assert.ok((counts[decision] ?? 0) > CASES / 50, decision);
});
