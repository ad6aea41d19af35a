import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JournalPosition, readJournal } from '../audit/read-journal.ts';
import { BaseCommand } from '../cli/base-command.ts';
import { ForwardScreen } from '../cli/forward-screen.ts';
import { auditLine, isAboutJournal } from '../cli/present/audit-lines.ts';
import { CHAPTERS, type Chapter } from '../cli/present/demo-story.ts';
import { composeApp } from '../compose.ts';
import { type DatabaseForm, NO_CATALOGUE } from '../config/catalogue.ts';
import type { LocalEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ForwardEvent, RunningForward } from '../forward/forward-types.ts';
import type { Lab } from '../lab/lab.ts';
import { withLab } from '../lab/lab-environment.ts';
import { askPractice, PRACTICE_QUERY, PRACTICE_USER, type PracticeAnswer } from '../lab/practice-query.ts';
import type { App } from '../plan/app.ts';
import { openPlanned } from '../plan/open-planned.ts';
import { planDatabase, questionOf, type TunnelPlan } from '../plan/tunnel-plan.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { World } from '../runtime/world.ts';

/** What came through one tunnel. */
interface TunnelJson {
  readonly local: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Sessions that are still open at the end: none, or the demo fails. */
  readonly openSessions: number;
}

/** What `demo --json` prints: the tunnel on AWS, and the one on Google Cloud. */
interface DemoJson extends TunnelJson {
  readonly google: TunnelJson;
}

/** One cloud's part of the story. */
interface Part {
  readonly form: DatabaseForm;
  readonly name: string;
  readonly query: Chapter;
  readonly record: Chapter;
  ask(local: LocalEndpoint): Promise<PracticeAnswer>;
  openSessions(lab: Lab): number;
}

const AWS: Part = {
  form: 'rds',
  name: 'prod',
  query: CHAPTERS.query,
  record: CHAPTERS.record,
  ask: (local) => askPractice(local, PRACTICE_QUERY),
  openSessions: (lab) => lab.status().sessions.length,
};

const GOOGLE: Part = {
  form: 'sql',
  name: 'reports',
  query: CHAPTERS.googleQuery,
  record: CHAPTERS.googleRecord,
  ask: async (local) => (await import('../lab/practice-postgres.ts')).askPostgres(local, PRACTICE_USER, PRACTICE_QUERY),
  openSessions: (lab) => lab.gcp.relay.openSessions().length,
};

export default class Demo extends BaseCommand {
  static override summary = 'the whole story in a minute, on an embedded cloud: no account, no network';
  static override examples = ['<%= config.bin %> demo'];

  #chapter = 0;
  /** How much of the journal was shown. */
  #shown: JournalPosition = {};

  async run(): Promise<DemoJson> {
    await this.parse(Demo);
    await using lifetime = new Lifetime();
    this.#begin(CHAPTERS.cloud);
    const { lab, world } = await this.#startCloud(lifetime);
    const { account, region } = lab.inventory;
    this.#say('', `AWS ${lab.url}, account ${account}, ${region}`);
    this.#say(`Google Cloud ${lab.gcp.url}, project ${lab.gcp.inventory.projects[0]!.id}`);
    this.#begin(CHAPTERS.tunnel);
    const aws = await this.#tell(AWS, lab, world);
    this.#begin(CHAPTERS.google);
    const google = await this.#tell(GOOGLE, lab, world);
    this.#begin(CHAPTERS.next);
    return { ...aws, google };
  }

  /** Opens the tunnel, runs a query through it, closes it, and shows the record. */
  async #tell(part: Part, lab: Lab, world: World): Promise<TunnelJson> {
    await using lifetime = new Lifetime();
    const plan = planDatabase(part.form, part.name, { port: 'auto', reason: 'cloudtun demo' }, NO_CATALOGUE);
    const app = lifetime.use(await composeApp(world, questionOf(plan), {}));
    const { forward, clientGone } = await this.#openTunnel(app, plan, part, lifetime);
    const local = forward.local[0]![0]!;

    this.#begin(part.query);
    const { columns, rows } = await part.ask(local);
    const { tableLines } = await import('../cli/present/table.ts');
    this.#say(...PRACTICE_QUERY.split('\n'), '', ...tableLines(columns, rows));

    this.#begin(part.record);
    await clientGone;
    forward.drain('ended');
    const { closedLine } = await import('../cli/present/tunnel-lines.ts');
    const report = await forward.closed;
    const openSessions = part.openSessions(lab);
    const { lines, position } = readJournal(app.journalPath, this.#shown);
    const news = lines.filter((line) => !isAboutJournal(line)).map(auditLine);
    this.#shown = position;
    this.#say(...news, '', closedLine(report), `sessions open in the cloud now: ${openSessions}`);
    if (openSessions > 0) throw new CloudtunError('CT_INTERNAL', `the demo left ${openSessions} sessions open`);
    const { connections, bytesUp, bytesDown } = report;
    return { local: `${local.host}:${local.port}`, columns, rows, connections, bytesUp, bytesDown, openSessions };
  }

  /** The lab in this process, and a World that leads there and keeps journal and state of the demo to itself. */
  async #startCloud(lifetime: Lifetime): Promise<{ lab: Lab; world: World }> {
    const { startLab } = await import('../lab/lab.ts');
    const directory = mkdtempSync(join(tmpdir(), 'cloudtun-demo-'));
    lifetime.defer(() => rmSync(directory, { recursive: true, force: true }));
    const lab = lifetime.use(await startLab(this.world, { directory: join(directory, 'aws') }));
    const kept = Object.entries(this.world.env).filter(([name]) => !name.startsWith('CLOUDTUN_'));
    const env = withLab(Object.fromEntries(kept), lab.environment);
    return { lab, world: { ...this.world, env, paths: { ...this.world.paths, state: join(directory, 'state') } } };
  }

  /** What `rds` and `sql` do, on any free port; `clientGone` resolves when the first client was served. */
  async #openTunnel(
    app: App,
    plan: TunnelPlan,
    { name }: Part,
    lifetime: Lifetime,
  ): Promise<{ forward: RunningForward; clientGone: Promise<void> }> {
    const { user } = PRACTICE_USER;
    const placeOf = () => app.providers[0]!;
    const screen = new ForwardScreen(app.world, this.terminal, { placeOf, name, user, isJson: false });
    const { promise: clientGone, resolve } = Promise.withResolvers<void>();
    const onEvent = (event: ForwardEvent) => {
      if (!this.jsonEnabled()) screen.onEvent(event);
      if (event.type === 'client' && event.change === 'closed') resolve();
    };
    const planned = { request: plan.request, candidates: app.candidates };
    const forward = lifetime.use(await openPlanned(app, plan, planned, { isProbed: true, onEvent }, this.signal));
    const ending = this.interruption.drainFirst({
      drain: () => forward.drain('interrupted'),
      cut: () => forward.cut('interrupted'),
    });
    lifetime.defer(() => ending[Symbol.dispose]());
    // Ends the wait for the client too, when Ctrl-C ends the forward before one came.
    void forward.closed.then(() => resolve());
    await forward.ready;
    return { forward, clientGone };
  }

  #begin({ title, text }: Chapter): void {
    this.#chapter += 1;
    const heading = this.terminal.paint('bold', `${this.#chapter}. ${title}`, 'stdout');
    this.#say(...(this.#chapter === 1 ? [] : ['']), heading, ...text);
  }

  #say(...lines: readonly string[]): void {
    if (!this.jsonEnabled()) for (const line of lines) this.terminal.result(line);
  }
}
