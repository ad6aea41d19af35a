import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { testLab } from '../support/aws-lab.ts';
import { eventsIn } from '../support/json-events.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const root = join(import.meta.dirname, '../..');

/** A program of a user, against a lab, until it ends by itself. */
async function runProgram(test: { after(call: () => Promise<void>): void }, file: string) {
  const home = await temporaryDirectory(test);
  const lab = await testLab(test);
  const child: ChildProcess = spawn(process.execPath, [join(root, file)], {
    cwd: home,
    env: { PATH: process.env.PATH, HOME: home, AWS_EC2_METADATA_DISABLED: 'true', ...lab.env() },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  const [code] = await once(child, 'close');
  return { code, ...said, sessions: lab.status().sessions.length };
}

suite('the library', () => {
  test('the example opens a tunnel, and nothing keeps its process', async (t) => {
    const lines = readFileSync(join(root, 'examples/open-tunnel.ts'), 'utf8').trim().split('\n');
    assert.ok(lines.length <= 10, `${lines.length} lines`);
    const { code, stdout, stderr, sessions } = await runProgram(t, 'examples/open-tunnel.ts');
    assert.deepEqual([code, stderr, sessions], [0, '', 0]);
    assert.match(stdout, /^127\.0\.0\.1:\d+ says 8\.0\.\d+\S*\n$/);
  });

  test('two tunnels, a stream without a port, what fails, and no trace in the process', async (t) => {
    const { code, stdout, stderr, sessions } = await runProgram(t, 'test/support/library-user.ts');
    assert.deepEqual([code, stderr, sessions], [0, '', 0]);
    const { found, events } = JSON.parse(stdout) as { found: unknown; events: readonly { event: string }[] };
    assert.deepEqual(found, {
      greeting: true,
      during: { state: 'ready', clients: 1, bytesDown: true },
      bareEnd: { reason: 'ended', connections: 1, bytesDown: true },
      heldEnd: 'ended',
      noPort: 'CT_USAGE',
      afterwards: 'CT_INTERRUPTED',
      aborted: 'called off',
      unknown: 'CT_TARGET_NOT_FOUND',
      badPort: 'CT_USAGE',
      signals: [],
    });
    const kinds = eventsIn(events.map((event) => JSON.stringify(event)).join('\n')).map(({ event }) => event);
    assert.deepEqual([kinds.filter((kind) => kind === 'ready').length, kinds.at(-1)], [1, 'closed']);
  });
});

const PROGRAM = `
import { CloudtunError, ERROR_CATALOGUE, openTunnel, type ErrorCode, type OpenTunnel, type TunnelEvent } from 'cloudtun';
const code: ErrorCode = 'CT_DENIED';
const exitCode: number = ERROR_CATALOGUE[code].exitCode;
const seen = (event: TunnelEvent): void => {
  if (event.event === 'ready') seenPort(event.local[0]?.port);
  if (event.event === 'renewed') seenPort(event.downtimeMs);
};
const seenPort = (port: number | undefined): void => void port;
const tunnel: OpenTunnel = await openTunnel({ target: 'prod' }, { onEvent: seen });
const trouble: string | undefined = tunnel.status().lastTrouble?.message;
(await tunnel.connect()).end(\`\${exitCode}\${trouble}\`);
export const failed = new CloudtunError(code, 'no').code;
`;

suite('the declarations', () => {
  for (const [module, moduleResolution] of [
    ['nodenext', 'nodenext'],
    ['node16', 'node16'],
    ['esnext', 'bundler'],
  ] as const) {
    test(`a strict program compiles with ${moduleResolution}`, async (t) => {
      const home = await temporaryDirectory(t);
      mkdirSync(join(home, 'node_modules/@types'), { recursive: true });
      symlinkSync(root, join(home, 'node_modules/cloudtun'));
      symlinkSync(join(root, 'node_modules/@types/node'), join(home, 'node_modules/@types/node'));
      writeFileSync(join(home, 'package.json'), '{"type":"module"}');
      writeFileSync(join(home, 'program.ts'), PROGRAM);
      writeFileSync(join(home, 'example.ts'), readFileSync(join(root, 'examples/open-tunnel.ts')));
      const compilerOptions = {
        ...{ target: 'es2024', lib: ['es2024', 'esnext.disposable'], types: ['node'], noEmit: true },
        ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
        ...{ module, moduleResolution },
      };
      writeFileSync(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', home], { encoding: 'utf8', timeout: 60_000 });
      assert.equal(stdout, '');
      assert.equal(status, 0);
    });
  }

  test('they name nothing from inside', () => {
    const text = readFileSync(join(root, 'dist/index.d.ts'), 'utf8');
    assert.doesNotMatch(text, /from '\.|\bzod\b|oclif|Catalogue\b(?!\s)|World\b/);
    const [, exported = ''] = /^export \{([^}]*)\};$/m.exec(text) ?? [];
    assert.deepEqual(
      exported
        .split(',')
        .map((name) => name.trim())
        .sort(),
      [
        'CloudtunError',
        'ERROR_CATALOGUE',
        'openTunnel',
        'type CloseReason',
        'type ErrorCode',
        'type ErrorEntry',
        'type ErrorJson',
        'type ErrorKind',
        'type LocalAddress',
        'type OpenTunnel',
        'type TunnelContext',
        'type TunnelEnd',
        'type TunnelEvent',
        'type TunnelOptions',
        'type TunnelStatus',
      ],
    );
  });
});
