/**
 * A call to AWS that needs more than one thing allowed. IAM judges each resource of a call for itself, each by whatever statement fits
 * it, and the call goes through when all of them are allowed: so a statement for an instance and another one for a document combine
 * (the union trap: two grants open what neither meant).
 */
import type { IamContext } from './iam-context.ts';
import { evaluateIam, type IamDecision, type IamPolicies, type IamVerdict } from './iam-evaluator.ts';

export interface IamResource {
  readonly arn: string;
  /** Keys of this resource, its tags above all; over those of the call. */
  readonly context?: IamContext;
}

export interface IamCall {
  readonly action: string;
  /** Empty: the action has no resources, it is asked for as `*`. */
  readonly resources: readonly IamResource[];
  readonly context: IamContext;
}

export interface IamCallVerdict {
  readonly decision: IamDecision;
  /** The resource that decided against it; absent when allowed. */
  readonly refused?: IamVerdict;
  readonly verdicts: readonly IamVerdict[];
}

/** A refusal that nothing can mend goes before one that a grant can. */
const SEVERITY: readonly IamDecision[] = ['explicit-deny', 'implicit-deny', 'unknown'];

export function evaluateCall(policies: IamPolicies, call: IamCall): IamCallVerdict {
  const resources = call.resources.length > 0 ? call.resources : [{ arn: '*' }];
  const verdicts = resources.map(({ arn, context }: IamResource) =>
    evaluateIam(policies, { action: call.action, resource: arn, context: { ...call.context, ...context } }),
  );
  for (const decision of SEVERITY) {
    const refused = verdicts.find((one) => one.decision === decision);
    if (refused !== undefined) return { decision, refused, verdicts };
  }
  return { decision: 'allowed', verdicts };
}

export interface SessionStart {
  readonly target: IamResource;
  /** Absent: none was named, and the service takes the account's shell document. */
  readonly document?: IamResource;
  readonly shellDocument: IamResource;
  readonly context: IamContext;
  /**
   * `always`: the document is judged too, whatever the policies say, as newer pages of the Session Manager guide have it.
   * `when-asked`: a start without a document name is judged on its target alone, unless every statement that allows it has
   * `ssm:SessionDocumentAccessCheck` true, as older pages have it.
   */
  readonly documentCheck: 'always' | 'when-asked';
}

const CHECK_KEY = 'ssm:SessionDocumentAccessCheck';

/** `ssm:StartSession`: the target and the document. */
export function evaluateSessionStart(policies: IamPolicies, start: SessionStart): IamCallVerdict {
  const action = 'ssm:StartSession';
  if (start.document === undefined && start.documentCheck === 'when-asked') {
    const context = { ...start.context, [CHECK_KEY]: 'false' };
    const unchecked = evaluateCall(policies, { action, resources: [start.target], context });
    if (unchecked.decision === 'allowed') return unchecked;
  }
  const context = { ...start.context, [CHECK_KEY]: 'true' };
  return evaluateCall(policies, { action, resources: [start.target, start.document ?? start.shellDocument], context });
}
