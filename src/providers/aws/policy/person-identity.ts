import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import type { Person } from '../../policy-author.ts';
import type { AwsFacts } from './facts.ts';

/** What `${aws:userid}` of a role begins with: the role's id. */
const ROLE_ID = 'AROAEXAMPLEEXAMPLE001';
const SUFFIX = '-0123456789abcdef0';

/** What IAM knows about whoever calls. */
export interface Who {
  readonly context: IamContext;
  readonly userId: string;
  /** What session ARNs may begin with: which of them AWS compares is not proved for roles (iam.md 4.2). */
  readonly sessionNames: readonly string[];
}

export function identityOf({ principal, name }: Person): Who {
  if (principal.kind === 'user') {
    const userId = `AIDAEXAMPLE${principal.name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '')}`;
    const context = { 'aws:userid': userId, 'aws:username': principal.name, 'aws:PrincipalType': 'User' };
    return { userId, sessionNames: [principal.name], context };
  }
  const userId = `${ROLE_ID}:${name}`;
  const context = { 'aws:userid': userId, 'aws:PrincipalType': 'AssumedRole' };
  return { userId, sessionNames: [name, userId], context };
}

/** The tags that Session Manager itself puts on a session. */
export const sessionTags = (context: IamContext, owner: string): IamContext => ({
  ...context,
  'ssm:resourceTag/aws:ssmmessages:session-id': owner,
  'aws:ResourceTag/aws:ssmmessages:session-id': owner,
});

/** A session of somebody, as a resource. @param name the user or role session name, or `aws:userid` */
export const sessionArn = ({ partition, account }: AwsFacts, region: string, name: string) =>
  `arn:${partition}:ssm:${region}:${account}:session/${name}${SUFFIX}`;
