import { Args, Flags } from '@oclif/core';
import { CLOUD_FLAG, SELECTION_FLAGS } from '../../cli/flags.ts';
import { printable } from '../../cli/present/printable.ts';
import type { TeamCheckJson } from '../../cli/present/team-check-report.ts';
import { TeamCommand } from '../../cli/team-command.ts';
import { policyOf } from '../../compose.ts';
import { CloudtunError } from '../../domain/errors.ts';
import { GRANT_VERBS, type GrantVerb } from '../../domain/grant.ts';
import { isoDay } from '../../domain/iso-day.ts';
import type { Millis } from '../../domain/millis.ts';
import type { Access } from '../../onboarding/access.ts';
import type { AccessAnswer } from '../../onboarding/access-answer.ts';
import type { AccessChange } from '../../onboarding/access-difference.ts';
import type { TeamCheck as Checked } from '../../onboarding/check.ts';
import { type CheckScope, concerns, isInScope } from '../../onboarding/check-scope.ts';
import type { Finding } from '../../onboarding/findings.ts';
import type { TeamPerson } from '../../onboarding/people.ts';
import type { PlanQuestion } from '../../onboarding/team-plan.ts';
import { isoTime } from '../../runtime/iso-time.ts';

/** The answer is no: it is the catalogue that does not allow it (spec section 6, allow-lists). */
const NOT_ALLOWED = 11;

/** What is other than in another catalogue. */
interface Against {
  readonly label: string;
  readonly changes: readonly AccessChange[];
}

export default class TeamCheck extends TeamCommand {
  static override summary = 'who may reach what, and why or why not';
  static override description =
    'Judges the permissions that team plan would make of cloudtun.yaml by the rules of the clouds, statement by statement, without asking ' +
    'them: account numbers and ids are stand-ins. What is reached and not listed, or listed and not reached, is a finding. Exit code: 0 ' +
    'nothing is wrong; 1 there are findings (with --strict also warnings; with --exit-code also other access than --against); 11 PERSON ' +
    'may not reach TARGET.';
  static override examples = [
    '<%= config.bin %> team check                                     # everybody, findings and warnings',
    '<%= config.bin %> team check alice prod                          # may she, by what; else what would give it',
    '<%= config.bin %> team check alice                               # all of hers',
    '<%= config.bin %> team check --target prod                       # who reaches it, and by what',
    '<%= config.bin %> team check --all --at 2027-04-01               # everybody against everything, as of then',
    '<%= config.bin %> team check --against origin/main --strict      # in CI: what a pull request changes',
    '<%= config.bin %> team check alice prod --live --profile admin   # with what the clouds hold beside it',
  ];
  static override args = {
    person: Args.string({
      description: 'an address, what is before its @, a group, role or user of a cloud, or a team',
    }),
    target: Args.string({ description: 'a target, log or group of cloudtun.yaml' }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...CLOUD_FLAG,
    target: Flags.string({
      description: 'who reaches this target or log',
      env: 'CLOUDTUN_TARGET',
      helpValue: 'NAME',
    }),
    verb: Flags.string({
      description: 'with PERSON and TARGET: this alone',
      env: 'CLOUDTUN_VERB',
      options: [...GRANT_VERBS],
    }),
    all: Flags.boolean({ description: 'a table of everybody and everything', env: 'CLOUDTUN_ALL' }),
    at: Flags.string({
      description: 'as of this day or instant (default: now)',
      env: 'CLOUDTUN_AT',
      helpValue: 'DATE',
    }),
    against: Flags.string({
      description: 'what is gained and lost since this file, or revision of git',
      env: 'CLOUDTUN_AGAINST',
      helpValue: 'FILE|REVISION',
    }),
    live: Flags.boolean({
      description: 'ask the clouds for ids, for what people have beside this, and their simulators',
      env: 'CLOUDTUN_LIVE',
    }),
    strict: Flags.boolean({ description: 'end with 1 for warnings too', env: 'CLOUDTUN_STRICT' }),
    'exit-code': Flags.boolean({
      description: 'with --against: end with 1 when access is another one',
      env: 'CLOUDTUN_EXIT_CODE',
    }),
  };

  async run(): Promise<TeamCheckJson> {
    await using _ = this.providers;
    const { args, flags } = await this.parse(TeamCheck);
    refuseTogether(flags, args);
    const at = flags.at === undefined ? this.world.clock.wall() : instantOf(flags.at);
    const verb = GRANT_VERBS.find((one) => one === flags.verb);
    const question = await this.question(flags, { mayBeEmpty: flags.against !== undefined });
    const scope = await this.#scope(question, args.person, args.target, flags.target);
    const { worstFirst } = await import('../../onboarding/check.ts');
    const { check, beside } = flags.live
      ? await this.#askLive(question, scope, at)
      : { check: await this.#judge(question, at, scope), beside: [] };
    const access = check.access.filter((one) => isInScope(one, scope));
    const findings = worstFirst([...check.findings, ...beside]).filter((one) => concerns(one, scope));
    const answers = await this.#answers(question, scope, access, { at, ...(verb && { verb }) });
    const other =
      flags.against === undefined ? undefined : await this.#against(flags.against, question, at, scope, access);
    if (!this.jsonEnabled()) {
      const { checkLines } = await import('../../cli/present/team-check-lines.ts');
      const isVerbose = this.world.log.level > 0;
      const shown = { people: check.people, access, findings, scope, isAll: flags.all, isVerbose, answers, other };
      for (const line of checkLines(shown)) this.terminal.result(printable(line));
      if (!flags.live) this.terminal.note('from cloudtun.yaml alone; with what the clouds hold beside it: --live');
    }
    this.#endBy(findings, answers, { ...flags, isOther: (other?.changes.length ?? 0) > 0 });
    const { teamCheckJson } = await import('../../cli/present/team-check-report.ts');
    return teamCheckJson({
      at: isoTime(at),
      isLive: flags.live,
      isAll: flags.all,
      check,
      scope,
      access,
      findings,
      answers,
      other,
    });
  }

  #endBy(
    findings: readonly Finding[],
    answers: readonly AccessAnswer[] | undefined,
    {
      strict,
      isOther,
      ...flags
    }: { readonly strict: boolean; readonly isOther: boolean; readonly 'exit-code': boolean },
  ): void {
    const isWrong = findings.some(({ level }) => level === 'finding' || (strict && level === 'warning'));
    if (answers?.some(({ allowed }) => !allowed)) this.endWith(NOT_ALLOWED);
    else if (isWrong || (isOther && flags['exit-code'])) this.endWith(1);
  }

  /** Whom and what it is about. @throws CT_USAGE, CT_TARGET_NOT_FOUND */
  async #scope(
    { catalogue }: PlanQuestion,
    who: string | undefined,
    what: string | undefined,
    reverse: string | undefined,
  ): Promise<CheckScope> {
    const { findPerson, namesLike } = await import('../../onboarding/people.ts');
    const { subjectsCalled } = await import('../../onboarding/subjects.ts');
    const wanted = what ?? reverse;
    const subjects = wanted === undefined ? {} : { subjects: subjectsCalled(catalogue, wanted) };
    if (who === undefined) return subjects;
    const person = findPerson(catalogue, who);
    if (person !== undefined) return { ...subjects, person };
    if (who === '' || /\p{C}/u.test(who)) {
      throw new CloudtunError('CT_USAGE', 'PERSON has no name that can be read', {
        hint: 'everybody: cloudtun team check',
      });
    }
    const near = namesLike(catalogue, who);
    const meant = near.length === 0 ? [] : [`did you mean: ${near.join(', ')}`];
    if (what === undefined) {
      throw new CloudtunError('CT_USAGE', `nobody in cloudtun.yaml is called "${who}"`, {
        hint: [...meant, 'everybody: cloudtun team check'],
      });
    }
    this.terminal.note(printable([`nobody in cloudtun.yaml is called "${who}"`, ...meant].join('; ')));
    return { ...subjects, person: nobody(who) };
  }

  async #judge(question: PlanQuestion, at: Millis, scope: CheckScope): Promise<Checked> {
    const { checkTeams } = await import('../../onboarding/check.ts');
    const { draftTeams } = await import('../../onboarding/team-plan.ts');
    const drafterOf = async (cloud: Parameters<typeof policyOf>[0]) => (await policyOf(cloud))!.drafter();
    const drafted = await draftTeams(question, await this.policyKeys(), drafterOf);
    const { catalogue, cloud } = question;
    return checkTeams({
      catalogue,
      drafted,
      at,
      pause: this.pause,
      ...(cloud && { cloud }),
      ...(scope.person && { somebody: scope.person }),
    });
  }

  async #askLive(
    question: PlanQuestion,
    scope: CheckScope,
    at: Millis,
  ): Promise<{ readonly check: Checked; readonly beside: readonly Finding[] }> {
    const { checkLive } = await import('../../onboarding/live-check.ts');
    const clouds = { keysOf: await this.policyKeys(), open: this.openProvider };
    const onStep = (text: string) => this.terminal.progress(`${text} ...`);
    const found = await checkLive(question, scope, at, clouds, onStep, this.signal);
    this.terminal.settle();
    return found;
  }

  async #answers(
    { catalogue }: PlanQuestion,
    { person, subjects }: CheckScope,
    access: readonly Access[],
    options: { readonly at: Millis; readonly verb?: GrantVerb },
  ): Promise<readonly AccessAnswer[] | undefined> {
    if (person === undefined || subjects === undefined) return undefined;
    const { accessAnswer } = await import('../../onboarding/access-answer.ts');
    return subjects.map((subject) => accessAnswer(catalogue, person, subject, access, options));
  }

  /** Both are judged offline and by the same clock. */
  async #against(
    text: string,
    question: PlanQuestion,
    at: Millis,
    scope: CheckScope,
    now: readonly Access[],
  ): Promise<Against> {
    const { otherCatalogue } = await import('../../config/other-catalogue.ts');
    const { accessDifference } = await import('../../onboarding/access-difference.ts');
    const { findPerson } = await import('../../onboarding/people.ts');
    const { label, catalogue } = await otherCatalogue(this.world, text, this.signal);
    // The same person may be in other teams there, or nobody.
    const person = scope.person && (findPerson(catalogue, scope.person.name) ?? nobody(scope.person.name));
    const there = { ...scope, ...(person && { person }) };
    const { access } = await this.#judge({ ...question, catalogue }, at, there);
    const before = access.filter((one) => isInScope(one, there));
    return { label, changes: accessDifference(before, now, (end) => (end === undefined ? 'no end' : isoDay(end))) };
  }
}

/** Somebody of whom the catalogue says nothing. */
const nobody = (name: string): TeamPerson => ({ name, isStandIn: false, teams: [], principals: [] });

/** A day counts from its first minute in UTC: what ends on it is still there. @throws CT_USAGE */
function instantOf(text: string): Millis {
  const at = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2}))?$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new CloudtunError('CT_USAGE', `--at "${text}" is no date`, {
    hint: 'a day, such as 2027-03-31, or an instant, such as 2027-03-31T18:00Z',
  });
}

/** What would be read past in silence. @throws CT_USAGE */
function refuseTogether(
  flags: { readonly [key: string]: unknown },
  args: { readonly person?: string | undefined; readonly target?: string | undefined },
): void {
  const refuse = (text: string, hint: string) => {
    throw new CloudtunError('CT_USAGE', text, { hint });
  };
  if (flags.target !== undefined && args.target !== undefined)
    refuse('TARGET and --target are the same question', 'leave one of them out');
  if (flags.all === true && args.person !== undefined)
    refuse('--all is about everybody, and PERSON about one', 'leave one of them out');
  if (flags.verb !== undefined && args.target === undefined)
    refuse('--verb belongs to PERSON and TARGET', 'cloudtun team check alice web --verb ssh');
  if (flags.live === true && flags.against !== undefined)
    refuse('--against compares two catalogues, of which the clouds hold one at most', 'leave --live out');
  if (flags['exit-code'] === true && flags.against === undefined)
    refuse('--exit-code belongs to --against', 'findings end with 1 in any case; warnings too with --strict');
}
