import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseCommand } from '../cli/base-command.ts';
import { ForwardScreen } from '../cli/forward-screen.ts';
import { openPlanned } from '../cli/open-planned.ts';
import { CHAPTERS, type Chapter } from '../cli/present/demo-story.ts';
import { journalLines } from '../cli/present/journal-lines.ts';
import { planDatabase } from '../cli/tunnel-plan.ts';
import { type App, composeApp } from '../compose.ts';
import { NO_CATALOGUE } from '../config/catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ForwardEvent, RunningForward } from '../forward/forward-types.ts';
import type { Lab } from '../lab/lab.ts';
import { withLab } from '../lab/lab-environment.ts';
import { askPractice, PRACTICE_QUERY, PRACTICE_USER } from '../lab/practice-query.ts';
import { Lifetime } from '../runtime/lifetime.ts';
import type { World } from '../runtime/world.ts';

/** What `demo --json` prints. */
interface DemoJson {
  readonly local: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly connections: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Sessions that are still open at the end: none, or the demo fails. */
  readonly openSessions: number;
}

export default class Demo extends BaseCommand {
  static override summary = 'the whole story in a minute, on an embedded cloud: no account, no network';
  static override examples = ['<%= config.bin %> demo'];

  #chapter = 0;

  async run(): Promise<DemoJson> {
    await this.parse(Demo);
    await using lifetime = new Lifetime();
    this.#begin(CHAPTERS.cloud);
    const { lab, world } = await this.#startCloud(lifetime);
    this.#say('', `${lab.url}, account ${lab.inventory.account}, ${lab.inventory.region}`);

    this.#begin(CHAPTERS.tunnel);
    const app = lifetime.use(await composeApp(world, { cloud: 'aws', said: {}, selection: {} }, {}));
    const { forward, clientGone } = await this.#openTunnel(app, lifetime);
    const local = forward.local[0]![0]!;

    this.#begin(CHAPTERS.query);
    const answer = await askPractice(local, PRACTICE_QUERY);
    const { tableLines } = await import('../cli/present/table.ts');
    this.#say(...PRACTICE_QUERY.split('\n'), '', ...tableLines(answer.columns, answer.rows));

    this.#begin(CHAPTERS.record);
    await clientGone;
    forward.drain('ended');
    const { closedLine } = await import('../cli/present/tunnel-lines.ts');
    const report = await forward.closed;
    const openSessions = lab.status().sessions.length;
    const journal = await readFile(app.journalPath, 'utf8');
    this.#say(...journalLines(journal), '', closedLine(report), `sessions open in the cloud now: ${openSessions}`);
    if (openSessions > 0) throw new CloudtunError('CT_INTERNAL', `the demo left ${openSessions} sessions open`);

    this.#begin(CHAPTERS.next);
    const { connections, bytesUp, bytesDown } = report;
    const { columns, rows } = answer;
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

  /** What `rds prod` does, on any free port; `clientGone` resolves when its first client was served. */
  async #openTunnel(app: App, lifetime: Lifetime): Promise<{ forward: RunningForward; clientGone: Promise<void> }> {
    const plan = planDatabase('rds', 'prod', { port: 'auto', reason: 'cloudtun demo' }, NO_CATALOGUE);
    const { user } = PRACTICE_USER;
    const screen = new ForwardScreen(app.world, this.terminal, {
      placeOf: () => app.providers[0]!,
      name: 'prod',
      user,
      isJson: false,
    });
    const { promise: clientGone, resolve } = Promise.withResolvers<void>();
    const onEvent = (event: ForwardEvent) => {
      if (!this.jsonEnabled()) screen.onEvent(event);
      if (event.type === 'client' && event.change === 'closed') resolve();
    };
    const planned = { request: plan.request, candidates: app.candidates };
    const forward = lifetime.use(await openPlanned(app, plan, planned, { isProbed: true, onEvent }, this.signal));
    this.interruption.drainFirst({
      drain: () => forward.drain('interrupted'),
      cut: () => forward.cut('interrupted'),
    });
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
