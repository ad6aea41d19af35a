import type { AdmittedKeys } from '../../ssh/admitted-keys.ts';
import { parsePublicKey } from '../../ssh/core/public-key.ts';
import { awsMachineId } from '../aws-ssh.ts';
import { resourceTags } from '../iam/iam-gate.ts';
import { type ApiContext, type JsonService, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';

/** How long a pushed key may be used. */
const KEY_LIFETIME = 60_000;

/** EC2 Instance Connect: SendSSHPublicKey. */
export function instanceConnectApi(context: ApiContext, keys: AdmittedKeys): JsonService {
  return {
    name: 'ec2-instance-connect',
    protocol: 'json',
    targetPrefix: 'AWSEC2InstanceConnectService',
    operations: {
      SendSSHPublicKey: {
        resources: (input, call) => {
          const { account } = call.key.principal;
          const id = input.text('InstanceId') ?? '*';
          const instance = regionalInventory(context, call).instances.find((one) => one.id === id);
          const tags = instance === undefined ? {} : { Name: instance.name, ...instance.tags };
          return [{ arn: `arn:aws:ec2:${call.region}:${account}:instance/${id}`, context: resourceTags('ec2', tags) }];
        },
        context: (input) => ({ 'ec2:osuser': input.text('InstanceOSUser') }),
        run: (input, call) => {
          const id = input.requiredText('InstanceId', { min: 10, max: 32 });
          const userName = input.requiredText('InstanceOSUser', { min: 1, max: 32 });
          const key = input.requiredText('SSHPublicKey', { min: 80, max: 4_096 });
          const zone = input.text('AvailabilityZone', { min: 6, max: 32 });
          const inventory = regionalInventory(context, call);
          const instance = inventory.instances.find((one) => one.id === id && one.state !== 'terminated');
          const place = inventory.subnets.find((one) => one.id === instance?.subnetId)?.zone;
          if (instance === undefined || (zone !== undefined && zone !== place)) {
            throw new AwsFault('EC2InstanceNotFoundException', 400, `No instance found with ID ${id}`);
          }
          if (instance.state !== 'running') {
            const what = `Unable to connect because the instance is not in a running state. It is ${instance.state}`;
            throw new AwsFault('EC2InstanceStateInvalidException', 400, what);
          }
          if (!/^[A-Za-z_][A-Za-z0-9@._-]*$/.test(userName)) {
            throw new AwsFault('InvalidArgsException', 400, 'The instance OS user is not a valid user name');
          }
          if (parsePublicKey(key) === undefined || !keys.add(awsMachineId(id), userName, key, KEY_LIFETIME)) {
            throw new AwsFault('InvalidArgsException', 400, 'The SSH public key is not valid');
          }
          return { RequestId: context.world.random.uuid(), Success: true };
        },
      },
    },
  };
}
