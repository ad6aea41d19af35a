/**
 * Whether AWS IAM would let a request through, and which statements decided, from policies as data (IAM user guide,
 * "reference_policies_evaluation-logic", one account). An explicit deny anywhere wins; otherwise the identity policies, and the
 * permission boundary and the session policy where there are any, must each have a statement that allows.
 *
 * Left out on purpose: policies of resources, of organizations and of VPC endpoints; cloudtun writes none, and a caller who has them
 * must say that the answer lacks them. What this file cannot judge (an operator that it does not know, a variable without a value)
 * makes the answer `unknown`, which callers must treat as no.
 */
import { ContextKeys, type IamContext } from './iam-context.ts';
import type { Truth } from './iam-operators.ts';
import type { IamPolicy, IamStatement } from './iam-policy.ts';
import { checkStatement } from './iam-statement.ts';

export interface IamPolicies {
  /** Of the user or role and of its groups. */
  readonly identity: readonly IamPolicy[];
  /** Absent: there is none. */
  readonly boundary?: IamPolicy;
  /** Absent: there is none. */
  readonly session?: readonly IamPolicy[];
}

export interface IamRequest {
  /** `ssm:StartSession` */
  readonly action: string;
  /** An ARN, or `*` for actions that have no resources. */
  readonly resource: string;
  readonly context: IamContext;
}

export type IamDecision = 'allowed' | 'explicit-deny' | 'implicit-deny' | 'unknown';
export type IamPolicyKind = 'identity' | 'boundary' | 'session';

export interface StatementOutcome {
  readonly kind: IamPolicyKind;
  readonly policy: string;
  readonly statement: IamStatement;
  readonly applies: Truth;
  /** Action and resource fit: worth showing to somebody who asks why not. */
  readonly isNear: boolean;
  readonly reasons: readonly string[];
}

export interface IamVerdict {
  readonly decision: IamDecision;
  readonly action: string;
  readonly resource: string;
  /** The statements that decided: those that deny, or those that allow, or those that nobody can judge. Empty: none applied. */
  readonly decidedBy: readonly StatementOutcome[];
  /** Kinds of policy that had no statement to allow it. */
  readonly missing: readonly IamPolicyKind[];
  /** Every statement of every policy. */
  readonly statements: readonly StatementOutcome[];
}

/** Judges one action on one resource. */
export function evaluateIam(policies: IamPolicies, request: IamRequest): IamVerdict {
  const context = new ContextKeys(request.context);
  const groups: readonly (readonly [IamPolicyKind, readonly IamPolicy[] | undefined])[] = [
    ['identity', policies.identity],
    ['boundary', policies.boundary && [policies.boundary]],
    ['session', policies.session],
  ];
  const statements = groups.flatMap(([kind, list]) =>
    (list ?? []).flatMap((policy) => outcomesOf(kind, policy, request, context)),
  );
  const asked = groups.filter(([, list]) => list !== undefined).map(([kind]) => kind);
  return { ...decide(statements, asked), action: request.action, resource: request.resource, statements };
}

function outcomesOf(
  kind: IamPolicyKind,
  policy: IamPolicy,
  request: IamRequest,
  context: ContextKeys,
): readonly StatementOutcome[] {
  return policy.statements.map((statement) => ({
    kind,
    policy: policy.name,
    statement,
    ...checkStatement(statement, request, context, policy.hasVariables),
  }));
}

function decide(
  statements: readonly StatementOutcome[],
  asked: readonly IamPolicyKind[],
): Pick<IamVerdict, 'decision' | 'decidedBy' | 'missing'> {
  const those = (effect: 'Allow' | 'Deny', applies: Truth) =>
    statements.filter((one) => one.statement.effect === effect && one.applies === applies);
  const denies = those('Deny', 'yes');
  if (denies.length > 0) return { decision: 'explicit-deny', decidedBy: denies, missing: [] };

  const allows = those('Allow', 'yes');
  const mayAllow = those('Allow', 'unknown');
  const missing = asked.filter((kind) => !allows.some((one) => one.kind === kind));
  const surelyMissing = missing.filter((kind) => !mayAllow.some((one) => one.kind === kind));
  if (surelyMissing.length > 0) return { decision: 'implicit-deny', decidedBy: [], missing };
  const mayDeny = those('Deny', 'unknown');
  if (mayDeny.length > 0 || missing.length > 0) {
    return { decision: 'unknown', decidedBy: [...mayDeny, ...mayAllow], missing };
  }
  return { decision: 'allowed', decidedBy: allows, missing: [] };
}
