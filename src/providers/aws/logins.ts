import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { type MachineTarget, targetLabel } from '../../domain/target.ts';
import type { World } from '../../runtime/world.ts';
import type { Logins, NeededAction, SshLogin } from '../provider.ts';
import type { AwsApi } from './aws-api.ts';
import { awsErrorName } from './aws-errors.ts';
import { partitionOf } from './gatekeeper.ts';
import { imageName } from './image-name.ts';
import { nodesById } from './managed-nodes.ts';

/** Documented: "the SSH public key is pushed to the instance … for 60 seconds". */
const ADMITTED_FOR: Millis = 60_000;
const USUAL_USER = 'ec2-user';

/** Default users of the images that their makers publish on AWS, by the platform's name in Systems Manager. First match wins. */
const USERS: readonly (readonly [platform: RegExp, user: string])[] = [
  [/^ubuntu/i, 'ubuntu'],
  [/^debian/i, 'admin'],
  [/^fedora/i, 'fedora'],
  [/^rocky/i, 'rocky'],
  [/^(amazon linux|red hat|suse|sles|alma|oracle)/i, USUAL_USER],
];

/** The same by the names of images, for machines without an agent. Those of Marketplace have their maker's name in them. */
const IMAGE_USERS: typeof USERS = [
  [/bitnami/i, 'bitnami'],
  [/ubuntu/i, 'ubuntu'],
  [/debian/i, 'admin'],
  [/fedora/i, 'fedora'],
  [/rocky/i, 'rocky'],
  [/centos[ -_]?(stream|[678])/i, 'centos'],
];

const userOf = (users: typeof USERS, name: string) => users.find(([pattern]) => pattern.test(name))?.[1] ?? USUAL_USER;

/** What EC2 Instance Connect says of a machine that it cannot reach, by code. */
const NOT_READY = ['EC2InstanceStateInvalidException', 'EC2InstanceUnavailableException'];

/** Logins by EC2 Instance Connect: a public key is shown to the machine's sshd for a minute and kept nowhere. */
export class AwsLogins implements Logins {
  readonly #world: World;
  readonly #api: AwsApi;

  constructor(world: World, api: AwsApi) {
    this.#world = world;
    this.#api = api;
  }

  async guessUser(
    machine: MachineTarget,
    signal: AbortSignal,
  ): Promise<{ readonly user: string; readonly reason: string }> {
    const platform = await this.#platform(machine, signal);
    if (platform !== undefined) return { user: userOf(USERS, platform), reason: `it runs ${platform}` };
    const image = await imageName(this.#api, machine.id, signal);
    if (image === undefined) return { user: USUAL_USER, reason: 'its system is not known' };
    return { user: userOf(IMAGE_USERS, image), reason: `its image is ${image}` };
  }

  async admitKey(machine: MachineTarget, user: string, publicKey: string, signal: AbortSignal): Promise<SshLogin> {
    const label = targetLabel(machine);
    if (!machine.id.startsWith('i-')) {
      throw new CloudtunError('CT_USAGE', `EC2 Instance Connect knows EC2 instances, and ${label} is none`, {
        hint: 'log in with a key of your own: -i FILE',
      });
    }
    const call = {
      action: 'ec2-instance-connect:SendSSHPublicKey',
      resource: `instance/${machine.id} as ${user}`,
      doing: `push a key to ${label} as ${user}`,
    };
    try {
      await this.#api.instanceConnect(call, signal, (sdk, client, options) =>
        client.send(
          new sdk.SendSSHPublicKeyCommand({
            InstanceId: machine.id,
            InstanceOSUser: user,
            SSHPublicKey: publicKey,
            ...(machine.zone === undefined ? {} : { AvailabilityZone: machine.zone }),
          }),
          options,
        ),
      );
    } catch (error) {
      throw asLoginError(error, label, machine.id);
    }
    return { user, by: 'EC2 Instance Connect', expiresAt: this.#world.clock.wall() + ADMITTED_FOR };
  }

  /** The key ends by itself a minute later, so nothing takes it back. */
  async access(
    machine: MachineTarget,
    user: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly NeededAction[]> {
    const { region } = this.#api;
    const name = user ?? (await this.guessUser(machine, signal)).user;
    return [
      {
        action: 'ec2-instance-connect:SendSSHPublicKey',
        resource: `arn:${partitionOf(region)}:ec2:${region}:*:instance/${machine.id}`,
        note: `condition ec2:osuser = ${name}`,
      },
    ];
  }

  /** EC2 publishes none: the console output has them only where cloud-init printed them, minutes late. */
  async hostKeys(): Promise<undefined> {}

  async #platform(machine: MachineTarget, signal: AbortSignal): Promise<string | undefined> {
    try {
      return (await nodesById(this.#api, [machine.id], signal)).get(machine.id)?.platform;
    } catch (error) {
      signal.throwIfAborted();
      // Who may open a session need not be allowed to list; a guess is only a guess.
      if (error instanceof CloudtunError && error.code === 'CT_DENIED') return undefined;
      throw error;
    }
  }
}

function asLoginError(thrown: unknown, label: string, id: string): unknown {
  const name = awsErrorName(thrown) ?? '';
  if (NOT_READY.includes(name)) {
    return new CloudtunError('CT_TARGET_STOPPED', `${label} is not running, so it takes no key`, { cause: thrown });
  }
  if (name === 'EC2InstanceNotFoundException') {
    return new CloudtunError('CT_TARGET_NOT_FOUND', `EC2 Instance Connect knows no instance ${id} here`, {
      hint: 'check region and account: cloudtun targets',
      cause: thrown,
    });
  }
  return thrown;
}
