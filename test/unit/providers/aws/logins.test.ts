import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MachineTarget } from '../../../../src/domain/target.ts';
import { ec2, type FakeAws, fakeAws, json, refusal } from '../../../support/aws-answers.ts';

const MACHINE: MachineTarget = {
  kind: 'machine',
  provider: 'aws',
  id: 'i-0abc',
  name: 'web-1',
  state: 'running',
  zone: 'eu-west-1a',
};
const KEY = 'ssh-ed25519 AAAA cloudtun';
const never = () => new AbortController().signal;
const logins = ({ provider }: FakeAws) => provider.logins!;

test('a key is shown to the machine for a minute', async () => {
  await using aws = await fakeAws();
  aws.on('SendSSHPublicKey', json({ RequestId: 'r', Success: true }));
  const login = await logins(aws).admitKey(MACHINE, 'ubuntu', KEY, never());
  assert.deepEqual(login, {
    user: 'ubuntu',
    by: 'EC2 Instance Connect',
    expiresAt: aws.manual.clock.wall() + 60_000,
  });
  assert.deepEqual(aws.asked[0]?.input, {
    InstanceId: 'i-0abc',
    InstanceOSUser: 'ubuntu',
    SSHPublicKey: KEY,
    AvailabilityZone: 'eu-west-1a',
  });
  assert.equal(await logins(aws).hostKeys(MACHINE, never()), undefined);
});

test('denied, stopped, unknown, no EC2 instance', async () => {
  await using aws = await fakeAws();
  const refused = async (code: string) => {
    aws.on('SendSSHPublicKey', refusal(code));
    return logins(aws).admitKey(MACHINE, 'root', KEY, never());
  };
  await assert.rejects(refused('AccessDeniedException'), (error: Error & { code: string; details: unknown[] }) => {
    assert.equal(error.code, 'CT_DENIED');
    assert.deepEqual(error.details.at(-1), [
      'missing',
      'ec2-instance-connect:SendSSHPublicKey on instance/i-0abc as root',
    ]);
    return true;
  });
  await assert.rejects(refused('AuthException'), { code: 'CT_DENIED' });
  await assert.rejects(refused('EC2InstanceStateInvalidException'), { code: 'CT_TARGET_STOPPED' });
  await assert.rejects(refused('EC2InstanceNotFoundException'), { code: 'CT_TARGET_NOT_FOUND' });
  await assert.rejects(refused('ThrottlingException'), { code: 'CT_THROTTLED' });
  const hybrid = logins(aws).admitKey({ ...MACHINE, id: 'mi-0abc' }, 'root', KEY, never());
  await assert.rejects(hybrid, { code: 'CT_USAGE' });
});

test('the user is guessed from the platform, and said why', async () => {
  await using aws = await fakeAws();
  const guess = async (name?: string) => {
    const list = name === undefined ? [] : [{ InstanceId: 'i-0abc', PingStatus: 'Online', PlatformName: name }];
    aws.on('DescribeInstanceInformation', json({ InstanceInformationList: list }));
    return logins(aws).guessUser(MACHINE, never());
  };
  assert.deepEqual(await guess('Ubuntu'), { user: 'ubuntu', reason: 'it runs Ubuntu' });
  assert.equal((await guess('Debian GNU/Linux')).user, 'admin');
  assert.equal((await guess('Rocky Linux')).user, 'rocky');
  assert.equal((await guess('Amazon Linux')).user, 'ec2-user');
  aws.on('DescribeInstances', ec2('DescribeInstances', { reservationSet: { item: [] } }));
  assert.deepEqual(await guess(), { user: 'ec2-user', reason: 'its system is not known' });
  aws.on('DescribeInstanceInformation', refusal('AccessDeniedException'));
  aws.on('DescribeInstances', refusal('UnauthorizedOperation', 403));
  assert.equal((await logins(aws).guessUser(MACHINE, never())).user, 'ec2-user');
});

test('without an agent, from the name of its image', async () => {
  await using aws = await fakeAws();
  aws.on('DescribeInstanceInformation', json({ InstanceInformationList: [] }));
  const instance = { instanceId: 'i-0abc', imageId: 'ami-1' };
  aws.on(
    'DescribeInstances',
    ec2('DescribeInstances', { reservationSet: { item: [{ instancesSet: { item: [instance] } }] } }),
  );
  const guess = async (name: string) => {
    aws.on('DescribeImages', ec2('DescribeImages', { imagesSet: { item: [{ imageId: 'ami-1', name }] } }));
    return logins(aws).guessUser(MACHINE, never());
  };
  const ubuntu = 'ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20250821';
  assert.deepEqual(await guess(ubuntu), { user: 'ubuntu', reason: `its image is ${ubuntu}` });
  assert.equal((await guess('debian-12-amd64-20250814-2204')).user, 'admin');
  assert.equal((await guess('bitnami-wordpress-6.8-r1-debian-12')).user, 'bitnami');
  assert.equal((await guess('al2023-ami-2023.8.20250915.0-kernel-6.1-arm64')).user, 'ec2-user');
  aws.on('DescribeImages', refusal('InvalidAMIID.NotFound'));
  assert.equal((await logins(aws).guessUser(MACHINE, never())).reason, 'its system is not known');
});
