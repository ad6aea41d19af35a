import { isoSeconds } from '../../../domain/iso-day.ts';
import type { Millis } from '../../../domain/millis.ts';
import type { IamContext } from '../../../onboarding/core/iam-context.ts';
import type { Judgement, StatementWord } from '../../policy-author.ts';
import type { AwsApi } from '../aws-api.ts';
import { type AwsAttempt, type AwsCall, machineResource } from './attempts.ts';
import type { AwsFacts } from './facts.ts';
import { sessionArn, sessionTags, type Who } from './person-identity.ts';
import type { Holder } from './principal-policies.ts';
import { documentArn, SHELL_DOCUMENT } from './statements.ts';

type Call = Judgement['calls'][number];

/** What the simulator is asked: one action on one resource. */
interface Question {
  readonly action: string;
  readonly resource: string;
  readonly context: IamContext;
}

/**
 * What IAM's own simulator says of an attempt, with the policies as they are in the account now (`iam:SimulatePrincipalPolicy`). It knows
 * no resources but the ones it is told, so tags of machines and sessions are told to it.
 */
export async function simulateAttempt(
  api: AwsApi,
  holder: Holder,
  who: Who,
  attempt: AwsAttempt,
  { facts, at }: { readonly facts: AwsFacts; readonly at: Millis },
  signal: AbortSignal,
): Promise<Judgement> {
  const base = { ...who.context, 'aws:CurrentTime': isoSeconds(at), 'aws:SecureTransport': 'true' };
  const calls: Call[] = [];
  for (const call of attempt.calls) {
    for (const forms of questionsOf(call, who, facts)) {
      const answers = await Promise.all(
        forms.map((each) => ask(api, holder, { ...each, context: { ...base, ...each.context } }, signal)),
      );
      const refused = answers.find(({ decision }) => decision !== 'allowed');
      const isUnsure = refused !== undefined && answers.some(({ decision }) => decision === 'allowed');
      calls.push(refused === undefined ? answers[0]! : isUnsure ? { ...refused, decision: 'unknown' } : refused);
    }
  }
  const isAllowed = calls.every(({ decision }) => decision === 'allowed');
  const isDenied = calls.some(({ decision }) => decision === 'denied');
  return { decision: isAllowed ? 'allowed' : isDenied ? 'denied' : 'unknown', calls };
}

/** Every question of a call; each in the forms that its resource may have, of which nobody knows which one AWS compares. */
function questionsOf(call: AwsCall, who: Who, facts: AwsFacts): readonly (readonly Question[])[] {
  const session = (action: string, names: readonly string[], owner: string) => [
    names.map((name) => ({
      action,
      resource: sessionArn(facts, call.kind === 'call' ? facts.region : call.region, name),
      context: sessionTags({}, owner),
    })),
  ];
  switch (call.kind) {
    case 'start': {
      const { region, machine, document = documentArn(facts, region, SHELL_DOCUMENT) } = call;
      const action = 'ssm:StartSession';
      const context = { 'ssm:SessionDocumentAccessCheck': 'true' };
      const tag: IamContext =
        machine.kind === 'tag'
          ? { [`ssm:resourceTag/${machine.key}`]: machine.value, [`aws:ResourceTag/${machine.key}`]: machine.value }
          : {};
      return [
        [{ action, resource: machineResource(facts, region, machine), context: { ...context, ...tag } }],
        [{ action, resource: document, context }],
      ];
    }
    case 'channel':
      return session('ssmmessages:OpenDataChannel', who.sessionNames, who.userId);
    case 'end':
      return session('ssm:TerminateSession', who.sessionNames, who.userId);
    case 'end-of-another':
      return session('ssm:TerminateSession', ['somebody.else'], 'AIDAEXAMPLEOTHER');
    case 'call':
      return [[{ action: call.action, resource: call.resource, context: call.context ?? {} }]];
  }
}

async function ask(
  api: AwsApi,
  holder: Holder,
  { action, resource, context }: Question,
  signal: AbortSignal,
): Promise<Call> {
  const call = {
    action: 'iam:SimulatePrincipalPolicy',
    resource: `${holder.kind}/${holder.name}`,
    doing: `ask IAM's simulator about ${holder.kind} ${holder.name}`,
  };
  const answer = await api.iam(call, signal, (sdk, client, options) =>
    client.send(
      new sdk.SimulatePrincipalPolicyCommand({
        PolicySourceArn: holder.arn,
        ActionNames: [action],
        ResourceArns: [resource],
        ContextEntries: Object.entries(context).flatMap(([ContextKeyName, value]) => {
          if (value === undefined) return [];
          const isList = typeof value !== 'string';
          return [
            {
              ContextKeyName,
              ContextKeyValues: isList ? [...value] : [value],
              ContextKeyType: typeOf(ContextKeyName, isList),
            },
          ];
        }),
      }),
      options,
    ),
  );
  const [result] = answer.EvaluationResults ?? [];
  const decision = result?.EvalDecision === 'allowed' ? 'allowed' : result === undefined ? 'unknown' : 'denied';
  const words = (result?.MatchedStatements ?? []).map(
    ({ SourcePolicyId = '?' }): StatementWord => ({
      policy: SourcePolicyId,
      statement: '',
      effect: result?.EvalDecision === 'explicitDeny' ? 'deny' : 'allow',
      counts: true,
      reason: `IAM's simulator: ${result?.EvalDecision ?? 'no answer'}`,
    }),
  );
  return { action, resource, decision, words };
}

/** The simulator compares by type: a text is never before a date. */
function typeOf(key: string, isList: boolean) {
  if (key === 'aws:CurrentTime') return 'date';
  if (key === 'ssm:SessionDocumentAccessCheck' || key === 'aws:SecureTransport') return 'boolean';
  return isList ? 'stringList' : 'string';
}
