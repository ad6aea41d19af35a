/**
 * `npm run interop`: the vendors' own programs against the lab, and cloudtun beside them. Whichever are named by the variables in
 * README.md take part; what needs another one is skipped and says so. `--only name,…` (a name or its beginning), `--rounds n` for the
 * comparisons (default 5), `--json`. Exit code 1 when a check failed or a bound was missed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lifetime } from '../../src/runtime/lifetime.ts';
import { type Figure, formatTable, isKept } from '../bench/figures.ts';
import { LabProcess } from '../bench/lab-process.ts';
import { apiCheck } from './aws-api.ts';
import type { Check, Context, Finding } from './check.ts';
import { Cloudtun, Official } from './clients.ts';
import { exchangesComparison } from './compare-exchanges.ts';
import { iapComparison } from './compare-iap.ts';
import { proxyComparison } from './compare-proxy.ts';
import { startsComparison } from './compare-starts.ts';
import { transfersComparison } from './compare-transfers.ts';
import { mariadbCheck, psqlCheck } from './databases.ts';
import { gcloudCheck, relayCheck } from './gcloud.ts';
import { basicCheck, endCheck, rawCheck, resumeCheck } from './official-sessions.ts';
import { hostCheck, portCheck } from './official-transfers.ts';
import { findPeers, PEER_SOURCES } from './peers.ts';
import { Programs } from './programs.ts';
import { auditFindings } from './violations.ts';

const CHECKS: readonly Check[] = [
  apiCheck,
  portCheck,
  hostCheck,
  endCheck,
  basicCheck,
  rawCheck,
  resumeCheck,
  mariadbCheck,
  psqlCheck,
  startsComparison,
  exchangesComparison,
  transfersComparison,
  gcloudCheck,
  relayCheck,
  iapComparison,
  proxyComparison,
];

const { values: options } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
  },
});
const beginnings = options.only.split(',');
const chosen = CHECKS.filter(({ name }) => beginnings.some((beginning) => name.startsWith(beginning)));
const rounds = Number(options.rounds);
const say = (text: string) => process.stderr.write(`        ${text}\n`);

interface Verdict extends Finding {
  readonly check: string;
}

const verdicts: Verdict[] = [];
const figures: Figure[] = [];
const skipped: { readonly check: string; readonly needs: readonly string[] }[] = [];

/** Shows at once what a run of several minutes has found so far. */
function report(check: string, { ok, text }: Finding): void {
  verdicts.push({ check, ok, text });
  if (!options.json) process.stdout.write(`${ok ? 'ok     ' : 'FAILED '} ${check.padEnd(18)} ${text}\n`);
}

async function perform(check: Check, context: Context): Promise<void> {
  try {
    const outcome = await check.run(context);
    for (const finding of outcome.findings) report(check.name, finding);
    const measured = outcome.figures ?? [];
    const missed = measured.filter((figure) => isKept(figure) === false);
    figures.push(...measured);
    for (const { name } of missed) report(check.name, { ok: false, text: `bound missed: ${name}` });
    if (measured.length > 0 && missed.length === 0) report(check.name, { ok: true, text: 'every bound is kept' });
  } catch (error) {
    report(check.name, { ok: false, text: error instanceof Error ? error.message : String(error) });
  }
}

async function main(): Promise<void> {
  if (chosen.length === 0) throw new Error(`--only knows ${CHECKS.map(({ name }) => name).join(', ')}`);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds is a number of rounds, 1 or more');
  const peers = findPeers(process.env);
  const directory = mkdtempSync(join(tmpdir(), 'cloudtun-interop-'));
  await using cleanup = new Lifetime();
  // At an interrupt, too.
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const lab = cleanup.use(await LabProcess.start());
  const programs = cleanup.use(new Programs());
  const official = peers.aws === undefined ? undefined : new Official({ programs, lab, directory }, peers);
  let practice: ReturnType<Context['practice']> | undefined;
  const context: Context = {
    peers,
    rounds,
    lab,
    iap: { programs, lab, directory },
    cloudtun: new Cloudtun({ programs, lab, directory }),
    cloudtunWith: (flags) => new Cloudtun({ programs, lab, directory }, flags),
    get official() {
      if (official === undefined) throw new Error('the AWS CLI is needed');
      return official;
    },
    practice: () => {
      practice ??= LabProcess.start('practice').then((own) => {
        cleanup.use(own);
        return { lab: own, cloudtun: new Cloudtun({ programs, lab: own, directory }) };
      });
      return practice;
    },
    say,
  };
  for (const check of chosen) {
    const missing = check.needs.filter((name) => peers[name] === undefined);
    if (missing.length === 0) await perform(check, context);
    else
      skip(
        check.name,
        missing.map((name) => PEER_SOURCES[name]),
      );
  }
  const labs = [lab, ...(practice === undefined ? [] : [(await practice).lab])];
  const reports = await Promise.all(labs.map((each) => each.report()));
  for (const finding of auditFindings(reports, official?.sessionIds ?? new Set())) report('audit', finding);
}

function skip(check: string, needs: readonly string[]): void {
  skipped.push({ check, needs });
  if (!options.json) process.stdout.write(`skipped ${check.padEnd(18)} it needs ${needs.join(' and ')}\n`);
}

/** The table, or everything as one document; the last line says how it went. */
function conclude(): void {
  const failed = verdicts.filter(({ ok }) => !ok).length;
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ verdicts, figures, skipped }, undefined, 2)}\n`);
  } else {
    if (figures.length > 0) process.stdout.write(`\n${formatTable(figures)}\n\n`);
    const unset = [...new Set(skipped.flatMap(({ needs }) => needs))];
    if (unset.length > 0) process.stdout.write(`to run what was skipped: ${unset.join(', ')}\n`);
    process.stdout.write(failed === 0 ? 'nothing failed\n' : `${failed} failed\n`);
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  await main();
  conclude();
} catch (error) {
  process.stderr.write(`interop: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
}
