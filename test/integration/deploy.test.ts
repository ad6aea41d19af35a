import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { parseCatalogue } from '../../src/config/parse.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const { commands } = JSON.parse(readFileSync(join(deploy, '../oclif.manifest.json'), 'utf8')) as {
  readonly commands: Readonly<Record<string, { readonly flags: Readonly<Record<string, { readonly env?: string }>> }>>;
};
const up = commands.up!.flags;
const variables = new Set(Object.values(up).map(({ env }) => env));

interface Container {
  readonly name: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string }[];
  readonly restartPolicy?: string;
  readonly securityContext: {
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[] };
  };
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly path: string } } | undefined;
}
interface PodSpec {
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly securityContext: { readonly runAsNonRoot: boolean; readonly runAsUser: number };
  readonly terminationGracePeriodSeconds: number;
}
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template?: { readonly spec: PodSpec }; readonly jobTemplate?: Manifest };
}

function documents(file: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(join(deploy, 'kubernetes', file), 'utf8')).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  });
}

suite('the manifests for Kubernetes', () => {
  const files = globSync('*.yaml', { cwd: join(deploy, 'kubernetes') });
  assert.equal(files.length, 3);
  for (const file of files) {
    test(`${file} is valid`, async () => {
      for (const manifest of documents(file)) {
        const Model = (await import(`kubernetes-models/${manifest.apiVersion}/${manifest.kind}`))[manifest.kind];
        new Model(manifest).validate();
        const broken = structuredClone(manifest) as { spec?: object; data?: unknown; metadata?: unknown };
        if (broken.spec) broken.spec = 3 as never;
        else broken.metadata = 3;
        assert.throws(() => new Model(broken).validate(), `${manifest.kind} is checked`);
      }
    });

    test(`${file} has the least that Pods need, and cloudtun as it is`, () => {
      const manifests = documents(file);
      const pods = manifests.flatMap(
        ({ spec }) => spec?.template?.spec ?? spec?.jobTemplate?.spec?.template?.spec ?? [],
      );
      assert.equal(pods.length, 1);
      for (const { data } of manifests) {
        if (data) assert.ok(parseCatalogue(data['cloudtun.yaml']!, file).entries.has('prod'));
      }
      for (const pod of pods) {
        assert.deepEqual([pod.securityContext.runAsNonRoot, pod.securityContext.runAsUser], [true, 65_532]);
        assert.ok(pod.terminationGracePeriodSeconds > 30);
        const containers = [...(pod.initContainers ?? []), ...pod.containers];
        for (const { securityContext } of containers) {
          assert.deepEqual(
            [securityContext.allowPrivilegeEscalation, securityContext.readOnlyRootFilesystem],
            [false, true],
          );
          assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
        }
        const own = containers.find(({ name }) => name === 'cloudtun')!;
        assert.deepEqual(own.args, ['up', 'prod']);
        assert.equal(own.startupProbe?.httpGet.path, '/readyz');
        for (const { name } of own.env ?? []) assert.ok(name === 'POD_IP' || variables.has(name), name);
        // As an init container it has to stay, or the program would wait for its end.
        if (pod.initContainers) assert.equal(own.restartPolicy, 'Always');
      }
    });
  }
});

suite('the units for systemd', () => {
  const analyze = spawnSync('systemd-analyze', ['--version']).status === 0;
  const skip = analyze ? false : 'no systemd-analyze on this machine';
  test('systemd-analyze verify has nothing to say', { skip }, async (t) => {
    const home = await temporaryDirectory(t);
    for (const kind of ['service', 'socket']) {
      copyFileSync(join(deploy, `systemd/cloudtun@.${kind}`), join(home, `cloudtun@prod.${kind}`));
    }
    const units = ['service', 'socket'].map((kind) => join(home, `cloudtun@prod.${kind}`));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...units], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.deepEqual([status, stderr], [0, '']);
  });

  test('systemd-analyze security rates the service as well protected', { skip }, () => {
    const unit = join(deploy, 'systemd/cloudtun@.service');
    const options = ['security', '--offline=true', '--threshold=20', '--no-pager', unit];
    const { status, stdout } = spawnSync('systemd-analyze', options, { encoding: 'utf8', timeout: 20_000 });
    assert.equal(status, 0, stdout.split('\n').slice(-3).join('\n'));
  });

  test('the service starts a command that there is', () => {
    const text = readFileSync(join(deploy, 'systemd/cloudtun@.service'), 'utf8');
    const [, line = ''] = /^ExecStart=\/usr\/bin\/env cloudtun up %i (.*)$/m.exec(text) ?? [];
    const flags = [...line.matchAll(/--([\w-]+)/g)].map(([, flag]) => flag!);
    assert.ok(flags.includes('foreground'));
    for (const flag of flags) assert.ok(flag in up, flag);
    assert.match(text, /^Type=notify$/m);
  });
});

test('the container is not root, is watched, and sets variables that there are', () => {
  const text = readFileSync(join(deploy, 'container/Containerfile'), 'utf8');
  assert.match(text, /^USER 65532:65532$/m);
  assert.match(text, /^HEALTHCHECK [\s\S]*\/healthz/m);
  const own = [...text.matchAll(/\b(CLOUDTUN_[A-Z_]+)=/g)].map(([, name]) => name);
  assert.equal(own.length, 4);
  for (const name of own) assert.ok(variables.has(name), name);
});
