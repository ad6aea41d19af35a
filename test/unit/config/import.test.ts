import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { importBasti } from '../../../src/config/import/basti.ts';
import { importAwsConfig, importGcloudConfig } from '../../../src/config/import/cloud-settings.ts';
import type { Imported } from '../../../src/config/import/imported.ts';
import { importSshConfig } from '../../../src/config/import/ssh-config-file.ts';
import { parseCatalogue } from '../../../src/config/parse.ts';
import { withTargets } from '../../../src/config/write-catalogue.ts';

const entriesOf = ({ targets }: Imported) => Object.fromEntries(targets.map(({ name, entry }) => [name, entry]));
const leftOutOf = ({ leftOut }: Imported) => leftOut.map(({ name }) => name);

/** What was imported is a catalogue that is taken. */
function isTaken(imported: Imported): void {
  parseCatalogue(withTargets(undefined, imported.targets, imported.defaults), 'cloudtun.yaml');
}

suite('configurations of other programs', () => {
  test('Basti: databases by name; what needs a machine is left out with what to add', () => {
    const imported = importBasti(`connections:
  db-dev: { target: { rdsInstance: dev-db, awsProfile: dev, awsRegion: eu-west-1 }, localPort: 5432 }
  cache: { target: { elasticacheRedisCluster: c }, localPort: 6379 }
  shared: { target: custom, localPort: 4646 }
  wrong: 5
targets:
  custom: { customTargetVpc: vpc-1, customTargetHost: 10.0.1.1, customTargetPort: 4646 }
  alone: { rdsCluster: big }
`);
    assert.deepEqual(entriesOf(imported), {
      'db-dev': { rds: 'dev-db', profile: 'dev', region: 'eu-west-1', port: 5432 },
      alone: { rds: 'big' },
    });
    assert.deepEqual(leftOutOf(imported), ['cache', 'shared', 'wrong']);
    isTaken(imported);
  });

  test('ssh: hosts behind the programs of the vendors, what is behind those, and their forwards', () => {
    const imported = importSshConfig(`Host *
  ServerAliveInterval 30
Host bastion
  HostName i-0123456789abcdef0
  User ec2-user
  ProxyCommand sh -c "aws ssm start-session --target %h --document-name AWS-StartSSHSession --profile prod --region eu-west-1"
  LocalForward 13306 orders.db.internal:3306
  LocalForward 8080 localhost:80
Host inner deep
  HostName 10.0.0.5
  ProxyJump bastion
Host vm
  ProxyCommand gcloud compute start-iap-tunnel vm-1 %p --listen-on-stdin --project=acme --zone=europe-west1-b
Host ours
  ProxyCommand cloudtun proxy %h %p
Host plain
  HostName example.org
`);
    assert.deepEqual(entriesOf(imported), {
      bastion: {
        aws: { instance: 'i-0123456789abcdef0', profile: 'prod', region: 'eu-west-1' },
        user: 'ec2-user',
      },
      'bastion-orders': { host: 'orders.db.internal', hostPort: 3306, via: 'bastion', port: 13306 },
      inner: { host: '10.0.0.5', hostPort: 22, via: 'bastion' },
      deep: { host: '10.0.0.5', hostPort: 22, via: 'bastion' },
      vm: { gcp: { instance: 'vm-1', project: 'acme', zone: 'europe-west1-b' } },
    });
    assert.deepEqual(leftOutOf(imported), ['bastion: LocalForward 8080 localhost:80', 'ours', 'plain']);
    isTaken(imported);
  });

  test('AWS: the default profile, or the only one; of several each is left to say', () => {
    assert.deepEqual(importAwsConfig({ default: { region: 'eu-west-1' }, 'profile prod': {} }).defaults, {
      region: 'eu-west-1',
    });
    assert.deepEqual(importAwsConfig({ 'profile prod': { region: 'us-east-1' }, 'sso-session s': {} }).defaults, {
      profile: 'prod',
      region: 'us-east-1',
    });
    const several = importAwsConfig({ 'profile a': { region: 'x' }, 'profile b': {} });
    assert.deepEqual([several.defaults, leftOutOf(several)], [{}, ['profile a', 'profile b']]);
  });

  test('gcloud: the active configuration', () => {
    const sections = { core: { project: 'acme' }, compute: { zone: 'europe-west1-b' } };
    const active = importGcloudConfig('default', sections, true);
    assert.deepEqual(active.defaults, { project: 'acme', zone: 'europe-west1-b' });
    isTaken(active);
    assert.deepEqual(importGcloudConfig('other', sections, false).defaults, {});
  });
});
