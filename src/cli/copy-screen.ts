import type { Millis } from '../domain/millis.ts';
import type { World } from '../runtime/world.ts';
import type { CopiedFile, CopyListener, CopyReport, FileProgress } from '../ssh/copy/copy-types.ts';
import { fileJson, fileLine, progressText, summaryLine } from './present/copy-lines.ts';
import { printable } from './present/printable.ts';
import { reportError } from './report-error.ts';
import type { Terminal } from './terminal.ts';

/** Five times a second is what a person can read. */
const REDRAW_AFTER: Millis = 200;
/** The speed is that of the last three seconds. */
const SAMPLES = 15;

/** Shows a copy: a bar on a terminal, a line for each file, JSON lines on stdout where they are wanted. */
export class CopyScreen implements CopyListener {
  readonly #world: World;
  readonly #terminal: Terminal;
  readonly #isJson: boolean;
  readonly #open = new Map<string, FileProgress>();
  readonly #samples: { readonly at: Millis; readonly byteCount: number }[] = [];
  #byteCount = 0;
  #drawnAt: Millis = Number.NEGATIVE_INFINITY;

  constructor(world: World, terminal: Terminal, isJson: boolean) {
    this.#world = world;
    this.#terminal = terminal;
    this.#isJson = isJson;
  }

  /** What is not done yet, as far as it has come. */
  get unfinished(): readonly FileProgress[] {
    return [...this.#open.values()].filter(({ done }) => done > 0);
  }

  readonly onProgress = (file: FileProgress): void => {
    const before = this.#open.get(file.to);
    // The first news of a file may be of what an earlier copy brought.
    if (before?.doing === 'copying' && file.doing === 'copying') this.#byteCount += file.done - before.done;
    this.#open.set(file.to, file);
    const now = this.#world.clock.now();
    if (now - this.#drawnAt < REDRAW_AFTER) return;
    this.#drawnAt = now;
    this.#samples.push({ at: now, byteCount: this.#byteCount });
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#terminal.progress(progressText([...this.#open.values()], this.#perSecond()));
  };

  readonly onFile = (file: CopiedFile): void => {
    this.#open.delete(file.to);
    if (this.#isJson) this.#terminal.result(JSON.stringify(fileJson(file, this.#world.clock.wall())));
    else if (file.error) reportError(file.error, this.#terminal, this.#world.log.level);
    else this.#terminal.note(fileLine(file));
    for (const remark of this.#isJson ? [] : file.remarks) this.#terminal.complain(`  ${printable(remark)}`);
  };

  /** Of several files. */
  ended(report: CopyReport, duration: Millis): void {
    this.#terminal.settle();
    const isOne = report.copied + report.there + report.failed <= 1;
    if (!isOne && !this.#isJson) this.#terminal.note(summaryLine(report, duration));
  }

  #perSecond(): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.at <= first.at) return 0;
    return ((last.byteCount - first.byteCount) / (last.at - first.at)) * 1_000;
  }
}
