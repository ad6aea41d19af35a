import { evaluateCall } from '../../../onboarding/core/iam-call.ts';
import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import type { IamDecision } from '../../../onboarding/core/iam-evaluator.ts';
import { type IamPolicy, readIamPolicy } from '../../../onboarding/core/iam-policy.ts';
import type { EntityKind } from '../iam/iam-directory.ts';
import type { ApiContext, QueryOperation } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import { entityNames, listOf, noSuchEntity } from './iam-shapes.ts';
import type { QueryParameters } from './query-parameters.ts';
import type { XmlObject } from './xml.ts';

/** What cannot be judged is not allowed; the real simulator has no word for it. */
const DECISIONS: Readonly<Record<IamDecision, string>> = {
  allowed: 'allowed',
  'explicit-deny': 'explicitDeny',
  'implicit-deny': 'implicitDeny',
  unknown: 'implicitDeny',
};

/** IAM's own simulator: each action on each resource, with the context that the caller makes up. */
export function simulatePrincipalPolicy(context: ApiContext): QueryOperation {
  return {
    resources: (input) => [input.require('PolicySourceArn')],
    run: (input) => {
      const arn = input.require('PolicySourceArn');
      const [, kind = '', name = ''] = /:(user|role|group)\/(?:.*\/)?([^/]+)$/.exec(arn) ?? [];
      if (kind === '' || !entityNames(context, kind as EntityKind).includes(name)) {
        throw noSuchEntity(`The entity ${arn} cannot be found.`);
      }
      const { directory } = context.iam;
      const held = directory.policiesOfEntity(directory.entity(kind as EntityKind, name));
      const given = input.list('PolicyInputList.member').map(readInput);
      const policies = { ...held, identity: [...held.identity, ...given] };
      const actions = input.list('ActionNames.member');
      const resources = input.list('ResourceArns.member');
      const entries = readContext(input);
      return {
        IsTruncated: false,
        EvaluationResults: listOf(
          actions.flatMap((action) =>
            (resources.length > 0 ? resources : ['*']).map((resource) => simulate(policies, action, resource, entries)),
          ),
        ),
      };
    },
  };
}

function simulate(
  policies: Parameters<typeof evaluateCall>[0],
  action: string,
  resource: string,
  context: IamContext,
): XmlObject {
  const { decision, verdicts } = evaluateCall(policies, { action, resources: [{ arn: resource }], context });
  const decided = verdicts.flatMap(({ decidedBy }) => decidedBy);
  return {
    EvalActionName: action,
    EvalResourceName: resource,
    EvalDecision: DECISIONS[decision],
    MatchedStatements: listOf(
      decided.map(({ policy }) => ({
        SourcePolicyId: policy,
        SourcePolicyType: 'IAM Policy',
      })),
    ),
    MissingContextValues: listOf([]),
  };
}

function readInput(document: string, index: number): IamPolicy {
  const found = readIamPolicy(`PolicyInputList.${index + 1}`, document);
  if (!found.ok) throw new AwsFault('InvalidInput', 400, found.problem);
  return found.policy;
}

/** `ContextEntries.member.1.ContextKeyName`, `….ContextKeyValues.member.1` */
function readContext(input: QueryParameters): IamContext {
  const context: Record<string, string | readonly string[]> = {};
  for (let index = 1; ; index += 1) {
    const prefix = `ContextEntries.member.${index}`;
    const key = input.get(`${prefix}.ContextKeyName`);
    if (key === undefined) return context;
    const values = input.list(`${prefix}.ContextKeyValues.member`);
    const isList = input.get(`${prefix}.ContextKeyType`)?.endsWith('List') === true;
    context[key] = isList ? values : (values[0] ?? '');
  }
}
