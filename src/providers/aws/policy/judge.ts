import { isoSeconds } from '../../../domain/iso-day.ts';
import { evaluateCall, evaluateSessionStart, type IamCallVerdict } from '../../../onboarding/core/iam-call.ts';
import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import type { IamDecision, IamPolicies, IamVerdict } from '../../../onboarding/core/iam-evaluator.ts';
import { type IamPolicy, readIamPolicy } from '../../../onboarding/core/iam-policy.ts';
import type {
  AccessAttempt,
  ForeignPolicy,
  JsonValue,
  Judgement,
  Person,
  PolicyDraft,
  StatementWord,
} from '../../policy-author.ts';
import { type AwsAttempt, type AwsCall, machineResource } from './attempts.ts';
import type { AwsFacts } from './facts.ts';
import { identityOf, sessionArn, sessionTags, type Who } from './person-identity.ts';
import { SHELL_DOCUMENT } from './statements.ts';

type Call = Judgement['calls'][number];

/** Whether what is drafted, with whatever else the person has, lets an attempt through (docs/security/iam.md). */
export function judgeAws(
  draft: PolicyDraft,
  facts: AwsFacts,
  person: Person,
  attempt: AccessAttempt,
  { at, others = [] }: { readonly at: number; readonly others?: readonly ForeignPolicy[] },
): Judgement {
  const drafted = new Set(draft.resources.flatMap(({ kind, name }) => (kind === 'policy' ? [name] : [])));
  // What stands of ours now is replaced by what is drafted.
  const beside = others.filter(({ name }) => !drafted.has(name));
  const policies: IamPolicies = { identity: [...draftedFor(draft, person), ...beside.map(foreign)] };
  const who = identityOf(person);
  // Attempts are made by this drafter: they carry their calls.
  const { calls } = attempt as AwsAttempt;
  const judged = calls.map((call) => judgeCall(policies, call, who, facts, at));
  const decisions = judged.map(({ decision }) => decision);
  const decision = decisions.includes('denied') ? 'denied' : decisions.includes('unknown') ? 'unknown' : 'allowed';
  return { decision, calls: judged };
}

/** The policies that the draft attaches to the person's principal. */
function draftedFor(draft: PolicyDraft, { principal }: Person): readonly IamPolicy[] {
  const attached = new Set(
    draft.resources.flatMap(({ kind, content }) => {
      if (kind !== 'attachment') return [];
      const said = content as { kind: string; name: string; policy: string };
      return said.kind === principal.kind && said.name === principal.name ? [said.policy] : [];
    }),
  );
  return draft.resources.flatMap(({ kind, name, content }) =>
    kind === 'policy' && attached.has(name) ? [readDocument(name, (content as { policy: JsonValue }).policy)] : [],
  );
}

const foreign = ({ name, content }: ForeignPolicy) => readDocument(name, content);

/** A document that cannot be read says nothing: what it might give has to be looked at by a person. */
function readDocument(name: string, document: JsonValue): IamPolicy {
  const found = readIamPolicy(name, document);
  return found.ok ? found.policy : { name, hasVariables: true, statements: [] };
}

function judgeCall(policies: IamPolicies, call: AwsCall, who: Who, facts: AwsFacts, at: number): Call {
  const context: IamContext = {
    ...who.context,
    'aws:CurrentTime': isoSeconds(at),
    'aws:EpochTime': String(Math.floor(at / 1_000)),
    'aws:SecureTransport': 'true',
  };
  switch (call.kind) {
    case 'start':
      return judgeStart(policies, call, context, facts);
    case 'call':
      return worded(
        evaluateCall(policies, {
          action: call.action,
          resources: [{ arn: call.resource }],
          context: { ...context, ...call.context },
        }),
        call.action,
        call.resource,
      );
    case 'channel':
      return judgeSession(policies, 'ssmmessages:OpenDataChannel', call.region, context, facts, who.sessionNames);
    case 'end':
      return judgeSession(
        policies,
        'ssm:TerminateSession',
        call.region,
        sessionTags(context, who.userId),
        facts,
        who.sessionNames,
      );
    case 'end-of-another':
      return judgeSession(
        policies,
        'ssm:TerminateSession',
        call.region,
        sessionTags(context, 'AIDAEXAMPLEOTHER'),
        facts,
        ['somebody.else'],
      );
  }
}

/** Allowed in each form of the ARN, or not known where only one of them is. */
function judgeSession(
  policies: IamPolicies,
  action: string,
  region: string,
  context: IamContext,
  facts: AwsFacts,
  names: readonly string[],
): Call {
  const judged = names.map((name) => {
    const resource = sessionArn(facts, region, name);
    return worded(evaluateCall(policies, { action, resources: [{ arn: resource }], context }), action, resource);
  });
  const refused = judged.find(({ decision }) => decision !== 'allowed');
  const allowed = judged.find(({ decision }) => decision === 'allowed');
  if (refused === undefined || allowed === undefined) return (refused ?? allowed)!;
  return { ...refused, decision: 'unknown' };
}

function judgeStart(
  policies: IamPolicies,
  { region, machine, document }: Extract<AwsCall, { kind: 'start' }>,
  context: IamContext,
  facts: AwsFacts,
): Call {
  const arn = machineResource(facts, region, machine);
  const tags =
    machine.kind === 'tag'
      ? { [`ssm:resourceTag/${machine.key}`]: machine.value, [`aws:ResourceTag/${machine.key}`]: machine.value }
      : {};
  const shell = `arn:${facts.partition}:ssm:${region}:${facts.account}:document/${SHELL_DOCUMENT}`;
  const verdict = evaluateSessionStart(policies, {
    target: { arn, context: tags },
    ...(document !== undefined && { document: { arn: document } }),
    shellDocument: { arn: shell },
    context,
    // The reading that lets more through: what holds under it holds under the other.
    documentCheck: 'when-asked',
  });
  return worded(verdict, 'ssm:StartSession', `${arn} with ${document ?? 'no document'}`);
}

const DECISIONS: Readonly<Record<IamDecision, Judgement['decision']>> = {
  allowed: 'allowed',
  'explicit-deny': 'denied',
  'implicit-deny': 'denied',
  unknown: 'unknown',
};

function worded({ decision, refused, verdicts }: IamCallVerdict, action: string, resource: string): Call {
  const shown = refused === undefined ? verdicts : [refused];
  const words = shown.flatMap(wordsOf);
  return {
    action,
    resource: refused?.resource ?? resource,
    decision: DECISIONS[decision],
    words: [...new Map(words.map((word) => [JSON.stringify(word), word])).values()],
  };
}

/** Statements that decided, or that would have if one thing were otherwise. */
function wordsOf({ decidedBy, statements, action }: IamVerdict): readonly StatementWord[] {
  const isAbout = (reasons: readonly string[]) => !reasons.some((reason) => reason.endsWith(`is not ${action}`));
  const shown =
    decidedBy.length > 0
      ? decidedBy
      : statements.filter(({ reasons, statement }) => statement.effect === 'Allow' && isAbout(reasons));
  return shown.map(({ policy, statement, reasons, applies }) => ({
    policy,
    statement: statement.sid ?? `statement ${statement.index + 1}`,
    effect: statement.effect === 'Allow' ? 'allow' : 'deny',
    counts: applies === 'yes',
    reason: reasons.join('; '),
  }));
}
