import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { codeOf } from '../../scripts/imports.ts';

/*
 * Where would a third cloud go? Into folders of its own, two registries and two domain types. So: a copy of the sources gets one, the
 * compiler is asked what else it owes, and `forward` opens a tunnel through it. The cloud is a loopback: its tunnels are streams
 * that echo.
 */

const ROOT = join(import.meta.dirname, '../..');

/** What a newcomer changes outside of its own folders. */
const CHANGES: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  'domain/target.ts': [
    ["['aws', 'gcp'] as const", "['aws', 'gcp', 'third'] as const"],
    ["gcp: ['project', 'zone'],", "gcp: ['project', 'zone'],\n  third: ['region'],"],
  ],
  'domain/ticket.ts': [
    [
      'export type Ticket = SsmSessionTicket | IapRelayTicket;',
      "export interface ThirdTicket { readonly kind: 'third-pass'; readonly to: RemoteEndpoint }\nexport type Ticket = SsmSessionTicket | IapRelayTicket | ThirdTicket;",
    ],
    ["case 'iap-relay':", "case 'third-pass':\n    case 'iap-relay':"],
  ],
  'providers/registry.ts': [
    [
      '  gcp: {\n    ...GCP_NAMES',
      "  third: { ...THIRD_NAMES, create: async () => (await import('./third/third-provider.ts')).thirdProvider() },\n  gcp: {\n    ...GCP_NAMES",
    ],
    ['import { AWS_NAMES }', "import { THIRD_NAMES } from './third/third-names.ts';\nimport { AWS_NAMES }"],
  ],
  'transport/dialers.ts': [
    [
      "  'iap-relay': async",
      "  'third-pass': async (_world, source, to, _options, signal) =>\n    (await import('./third/third-tunnel.ts')).openThird(source, to, signal),\n  'iap-relay': async",
    ],
  ],
};

const OWN_FOLDERS: Readonly<Record<string, string>> = {
  'providers/third/third-names.ts': `
    import type { CloudNames } from '../provider.ts';
    export const THIRD_NAMES: CloudNames = {
      label: 'the third cloud',
      ownKeys: [],
      firstStep: 'nothing',
      claims: (target) => (target.startsWith('3-') ? 'surely' : 'no'),
      isConfigured: () => false,
    };`,
  'providers/third/third-provider.ts': `
    import { CloudtunError } from '../../domain/errors.ts';
    import type { MachineTarget } from '../../domain/target.ts';
    import type { ThirdTicket } from '../../domain/ticket.ts';
    import type { Provider } from '../provider.ts';
    const BOX: MachineTarget = { kind: 'machine', provider: 'third', id: '3-box', state: 'running' };
    export async function thirdProvider(): Promise<Provider> {
      return {
        id: 'third',
        label: 'third nowhere',
        scope: 'nowhere',
        profile: undefined,
        finder: {
          list: async () => [{ target: BOX, reachable: true, remark: 'always' }],
          findMachine: async () => BOX,
          findDatabase: async () => { throw new CloudtunError('CT_TARGET_NOT_FOUND', 'no databases'); },
          routeTo: async (target, port) => ({ provider: 'third', target, node: BOX, to: { port }, reasons: [], rejected: [] }),
        },
        gatekeeper: {
          whoami: async () => ({ id: 'carol@third', account: '3', name: 'carol', source: 'thin air' }),
          ticketSource: () => ({
            kind: 'third-pass',
            issue: async (to): Promise<ThirdTicket> => ({ kind: 'third-pass', to }),
            renew: async (ticket) => ticket,
            release: async () => {},
          }),
          explain: () => ({ actions: [] }),
          endSession: async () => {},
        },
        [Symbol.asyncDispose]: async () => {},
      };
    }`,
  'transport/third/third-tunnel.ts': `
    import { PassThrough } from 'node:stream';
    import type { RemoteEndpoint } from '../../domain/endpoint.ts';
    import type { ThirdTicket, TicketSource } from '../../domain/ticket.ts';
    import type { Tunnel, TunnelEnd } from '../tunnel.ts';
    export async function openThird(source: TicketSource<ThirdTicket>, to: RemoteEndpoint, signal: AbortSignal): Promise<Tunnel> {
      await source.issue(to, signal);
      const { promise: closed, resolve } = Promise.withResolvers<TunnelEnd>();
      return {
        open: async () => Object.assign(new PassThrough(), { accepted: Promise.resolve('connected' as const) }),
        closed,
        stats: () => ({ openStreams: 0, sessions: 1, bytesUp: 0, bytesDown: 0, rateUp: 0, rateDown: 0, roundTripMs: undefined, each: [] }),
        [Symbol.asyncDispose]: async () => resolve({ reason: 'closed-by-us' }),
      };
    }`,
};

suite('a third cloud', () => {
  let copy = '';

  before(async () => {
    copy = mkdtempSync(join(tmpdir(), 'cloudtun-third-'));
    for (const folder of ['src', 'bin']) cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
    for (const file of ['package.json', 'tsconfig.json']) cpSync(join(ROOT, file), join(copy, file));
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const config = { extends: './tsconfig.json', include: ['src'] };
    writeFileSync(join(copy, 'tsconfig.third.json'), JSON.stringify(config));
  });

  after(() => rmSync(copy, { recursive: true, force: true }));

  /** What the compiler finds, by file. */
  async function complaints(): Promise<readonly string[]> {
    const run = promisify(execFile)(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.third.json'], { cwd: copy });
    const { stdout } = await run.catch((failure: { stdout: string }) => failure);
    return [...new Set([...stdout.matchAll(/^src\/([^(]+)\(/gm)].map(([, file]) => file!))].sort();
  }

  function change(file: string): void {
    let text = readFileSync(join(copy, 'src', file), 'utf8');
    for (const [from, to] of CHANGES[file]!) {
      assert.ok(text.includes(from), `src/${file} has no ${from}`);
      text = text.replace(from, () => to);
    }
    writeFileSync(join(copy, 'src', file), text);
  }

  test('an id and a ticket in the two domain types: the compiler names the two registries, and nothing else', async () => {
    for (const file of ['domain/target.ts', 'domain/ticket.ts']) change(file);
    assert.deepEqual(await complaints(), ['providers/registry.ts', 'transport/dialers.ts']);
  });

  test('a line in each registry and folders of its own, and nothing is owed any more', async () => {
    for (const file of ['providers/registry.ts', 'transport/dialers.ts']) change(file);
    for (const [file, text] of Object.entries(OWN_FOLDERS)) {
      mkdirSync(dirname(join(copy, 'src', file)), { recursive: true });
      writeFileSync(join(copy, 'src', file), text);
    }
    assert.deepEqual(await complaints(), []);
  });

  test('forward and targets work with it as they are', async () => {
    const env = { PATH: process.env.PATH, HOME: copy, AWS_EC2_METADATA_DISABLED: 'true' };
    const run = (...args: string[]) =>
      promisify(execFile)(process.execPath, [join(copy, 'bin/run.js'), ...args], { cwd: copy, env, timeout: 20_000 });
    const { stdout: listed } = await run('targets', '--cloud', 'third');
    assert.match(listed, /^3-box +- +machine +yes +always$/m);
    const { stdout } = await run('forward', '3-box', ':80', '--ttl', '300ms');
    assert.match(stdout, /^ready 127\.0\.0\.1:\d+ -> 3-box:80 \(third nowhere, expires .*\)\nclosed after /);
    const prefixed = await run('forward', 'third:anything', ':80', '--explain');
    assert.match(prefixed.stdout, /^target +localhost:80 of 3-box, third nowhere$/m);
  });
});

/** Texts for people name clouds: flags, examples, the one command that a cloud has for itself. No decision may hang on a name. */
const MAY_NAME_CLOUDS =
  /^(cli\/(flags|help)\.ts|cli\/present\/(demo-story|lab-report)\.ts|commands\/(demo|login|rds|sql)\.ts|commands\/lab\/)/;

test('broker, front ends and commands do not ask which cloud it is', () => {
  const files = globSync('{broker,forward,cli,commands}/**/*.ts', { cwd: join(ROOT, 'src') }).sort();
  assert.ok(files.length > 50);
  const named = files.flatMap((file) => {
    if (MAY_NAME_CLOUDS.test(file)) return [];
    const code = codeOf(readFileSync(join(ROOT, 'src', file), 'utf8'), true);
    return [...code.matchAll(/(['"`])(aws|gcp|ssm-session|iap-relay)\1|\b(aws|gcp|ssm|iap)\b(?=\s*[.(:?=])/g)].map(
      ([word]) => `${file}: ${word}`,
    );
  });
  // Texts of the two commands that show targets of both.
  assert.deepEqual(named, [
    'commands/forward.ts: gcp',
    'commands/forward.ts: gcp',
    'commands/proxy.ts: aws',
    'commands/proxy.ts: gcp',
    'commands/proxy.ts: gcp',
  ]);
});
