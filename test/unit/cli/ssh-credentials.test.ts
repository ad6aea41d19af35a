import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentSocket, ownCredentials } from '../../../src/cli/ssh-credentials.ts';
import type { CloudtunError } from '../../../src/domain/errors.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { ephemeralKey } from '../../../src/ssh/ephemeral-key.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

test('a key with a certificate beside it is for OpenSSH, and so the error says; others are read', async (t) => {
  const cwd = await temporaryDirectory(t);
  const world = { ...systemWorld(), cwd, env: { SSH_AUTH_SOCK: '/run/agent' } };
  const key = ephemeralKey();
  for (const name of ['plain', 'signed']) writeFileSync(join(cwd, name), key.privateKey.reveal());
  writeFileSync(join(cwd, 'signed-cert.pub'), 'ssh-ed25519-cert-v01@openssh.com AAAA\n');
  const own = (...files: string[]) => ownCredentials(world, { files, withAgent: true });
  assert.deepEqual(
    own('plain').map(({ kind, label }) => [kind, label]),
    [
      ['key', 'plain'],
      ['agent', 'the ssh-agent'],
    ],
  );
  assert.throws(
    () => own('plain', 'signed'),
    (error: CloudtunError) =>
      error.code === 'CT_USAGE' &&
      /signed-cert\.pub is an OpenSSH certificate/.test(error.message) &&
      error.hints.some((hint) => hint.includes("ProxyCommand='cloudtun proxy %h %p'")),
  );
  assert.throws(() => own('absent'), { code: 'CT_USAGE', message: /absent cannot be read \(ENOENT\)/ });
  assert.throws(() => agentSocket({ ...world, env: {} }, '-A'), { code: 'CT_USAGE', message: /-A wants an ssh-agent/ });
});
