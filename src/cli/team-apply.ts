import { openJournal } from '../compose.ts';
import { journalSettings } from '../config/journal-settings.ts';
import type { AuditEvent } from '../domain/audit-sink.ts';
import { asCloudtunError, CloudtunError } from '../domain/errors.ts';
import type { PlanPart, PlanQuestion, TeamPlan } from '../onboarding/team-plan.ts';
import type { PolicyChange } from '../providers/policy-author.ts';
import { hostUser } from '../runtime/host-user.ts';
import type { World } from '../runtime/world.ts';
import { askWhich } from './ask.ts';
import { printable } from './present/printable.ts';
import type { TeamPlanJson } from './present/team-plan-report.ts';
import { plural } from './present/tunnel-lines.ts';
import { TeamCommand } from './team-command.ts';

/** What an application of a plan came to. */
export interface TeamApplyJson extends TeamPlanJson {
  readonly done: number;
  readonly left: number;
}

const DONE = { add: 'added', change: 'changed', remove: 'removed' } as const;

/** A command that shows a plan, asks, and does it. */
export abstract class TeamApplyCommand extends TeamCommand {
  /** @throws CT_POLICY_CHANGED, CT_POLICY_CONFLICT; the failure of a change, with how far it came */
  protected async applyTeams(
    question: PlanQuestion,
    flags: { readonly yes: boolean; readonly expect?: string | undefined },
  ): Promise<TeamApplyJson> {
    const shown = await this.plan(question);
    const { teamPlanJson, teamPlanLines } = await import('./present/team-plan-report.ts');
    const count = shown.parts.flatMap(({ changes }) => changes).length;
    const conflicts = shown.parts.flatMap((part) => part.conflicts).length;
    if (!this.jsonEnabled()) for (const line of teamPlanLines(shown)) this.terminal.result(line);
    if (flags.expect !== undefined && flags.expect !== shown.fingerprint) throw changed(flags.expect, shown);
    if (count + conflicts === 0) {
      this.terminal.note('everything is as it should be');
      return { ...teamPlanJson(shown), done: 0, left: 0 };
    }
    const { applyPlan, refuseConflicts } = await import('../onboarding/apply-plan.ts');
    refuseConflicts(shown);
    const plan = await this.#agreed(shown, question, flags.yes);
    if (plan === undefined) return { ...teamPlanJson(shown), done: 0, left: count };
    await using journal = await openJournal(this.world, journalSettings(question.catalogue), {
      credentials: question.said,
    });
    const { done, left, failure } = await applyPlan(
      plan,
      ({ change }, index) => {
        const { kind, name } = 'wanted' in change ? change.wanted : change.current;
        this.terminal.progress(`${index + 1} of ${count}: ${kind} ${name} ...`);
      },
      this.signal,
      ({ part, change }) => journal.record(grantEvent(this.world, part, change)),
    );
    this.terminal.settle();
    if (!this.jsonEnabled()) {
      for (const { change } of done) {
        const { kind, name } = 'wanted' in change ? change.wanted : change.current;
        this.terminal.result(printable(`${DONE[change.op]} ${kind} ${name}`));
      }
    }
    if (this.signal.aborted) this.terminal.note(`${plural(left.length, 'change')} left; the rest: cloudtun team apply`);
    if (failure !== undefined) throw this.signal.aborted ? failure : halfDone(failure, done.length, left.length);
    this.terminal.note(`${plural(done.length, 'change')} made; see it from a person's side: cloudtun team check`);
    return { ...teamPlanJson(plan), done: done.length, left: 0 };
  }

  /** The plan as it is when a person has agreed to it; undefined where they did not. @throws CT_POLICY_CHANGED */
  async #agreed(shown: TeamPlan, question: PlanQuestion, isAgreed: boolean): Promise<TeamPlan | undefined> {
    if (isAgreed) return shown;
    if (!this.terminal.canAsk) {
      throw new CloudtunError('CT_USAGE', 'nobody is there to be asked whether this is to be done', {
        hint: `do exactly this: cloudtun team apply --yes --expect ${shown.fingerprint}`,
      });
    }
    const choices = [
      { value: 'yes', name: 'yes, exactly this' },
      { value: 'no', name: 'no, leave everything as it is' },
    ];
    if ((await askWhich('Do this?', choices, this.signal)) !== 'yes') {
      this.terminal.note('nothing was done');
      return undefined;
    }
    // A person may take an hour to read.
    const now = await this.plan(question);
    if (now.fingerprint !== shown.fingerprint) throw changed(shown.fingerprint, now);
    return now;
  }
}

/** What the journal has of a change. */
function grantEvent({ pid }: Pick<World, 'pid'>, { draft, identity }: PlanPart, change: PolicyChange): AuditEvent {
  const { kind, name, summary } = 'wanted' in change ? change.wanted : change.current;
  const { user, host } = hostUser();
  const { place } = draft;
  return {
    event: 'grant',
    change: DONE[change.op],
    ...(identity && { person: identity.id, account: identity.account, by: identity.source }),
    hostUser: user,
    host,
    pid,
    place,
    kind,
    object: name,
    what: summary,
  };
}

function changed(expected: string, { fingerprint }: TeamPlan): CloudtunError {
  return new CloudtunError(
    'CT_POLICY_CHANGED',
    `the plan is another one than the one that was looked at (${fingerprint}, not ${expected}); nothing was done`,
    { hint: 'look again: cloudtun team plan' },
  );
}

function halfDone(failure: unknown, done: number, left: number): CloudtunError {
  const error = asCloudtunError(failure);
  return new CloudtunError(error.code, error.message, {
    details: [...error.details, ['done', plural(done, 'change')], ['left', plural(left, 'change')]],
    hint: [...error.hints, 'what is done stays; the rest: cloudtun team apply'],
    cause: error,
  });
}
