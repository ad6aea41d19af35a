import { createHash } from 'node:crypto';
import { CloudtunError } from '../../domain/errors.ts';
import type { Millis } from '../../domain/millis.ts';
import { type MachineTarget, targetLabel } from '../../domain/target.ts';
import { hostUser } from '../../runtime/host-user.ts';
import type { World } from '../../runtime/world.ts';
import type { Logins, NeededAction, PublishedHostKeys, SshLogin } from '../provider.ts';
import { type GcpApi, path } from './gcp-api.ts';
import { isDenial, refusalBehind } from './gcp-errors.ts';
import { expiringEntry, withEntry, withoutKey } from './ssh-metadata.ts';

interface Metadata {
  readonly fingerprint?: string;
  readonly items?: readonly { readonly key?: string; readonly value?: string }[];
}
interface Instance {
  readonly id?: string;
  readonly metadata?: Metadata;
}
interface PosixAccount {
  readonly username?: string;
  readonly primary?: boolean;
}
interface LoginProfile {
  readonly posixAccounts?: readonly PosixAccount[];
}

/** Guessed: long enough for a slow machine and for clocks that differ by a minute or two, short enough to be no standing key. */
const ADMITTED_FOR: Millis = 300_000;
/** The guest software hears of new metadata within seconds; gcloud tries for 60 s. */
const METADATA_RETRIES: readonly Millis[] = [2_000, 3_000, 5_000, 5_000, 5_000, 10_000];
/** Guessed: others may write the metadata of the same machine at the same time. */
const WRITE_TRIES = 5;
const PRECONDITION_FAILED = 412;
/** What gcloud reads of the host keys that the guest agent publishes. */
const HOST_KEY_TYPES = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'];
const POSIX_NAME = /^[a-z_][a-z0-9_-]{0,31}$/;

/**
 * Logins by OS Login, which knows the person, or by a key in the metadata of the one instance where OS Login is off; both end by
 * themselves. Never by metadata of the project: that would be a login to every machine in it.
 */
export class GcpLogins implements Logins {
  readonly #world: World;
  readonly #api: GcpApi;
  readonly #instances = new Map<string, Promise<Instance>>();

  constructor(world: World, api: GcpApi) {
    this.#world = world;
    this.#api = api;
  }

  async guessUser(
    machine: MachineTarget,
    signal: AbortSignal,
  ): Promise<{ readonly user: string; readonly reason: string }> {
    if (await this.#hasOsLogin(machine, signal)) {
      const { project } = partsOf(machine);
      const email = await this.#email(signal);
      const profile = await this.#api.call<LoginProfile>(
        { service: 'oslogin', path: path`/v1/users/${email}/loginProfile`, query: { projectId: project } },
        osLoginCall(email, `read the login profile of ${email}`),
        signal,
      );
      const user = accountIn(profile, undefined);
      // Without an account yet, the import of the first key makes one.
      return { user: user ?? osLoginName(email), reason: `OS Login knows ${email}` };
    }
    const { user } = hostUser();
    if (POSIX_NAME.test(user) && user !== 'root') return { user, reason: 'it is your name on this machine' };
    const email = await this.#email(signal);
    return { user: posixName(email), reason: `made of ${email}` };
  }

  async admitKey(machine: MachineTarget, user: string, publicKey: string, signal: AbortSignal): Promise<SshLogin> {
    const expiresAt = this.#world.clock.wall() + ADMITTED_FOR;
    if (!(await this.#hasOsLogin(machine, signal))) {
      const entry = expiringEntry(user, publicKey, expiresAt);
      const add = (value: string | undefined) => withEntry(value, entry, this.#world.clock.wall());
      await this.#changeMetadata(machine, `let a key in on ${targetLabel(machine)}`, add, signal);
      return { user, by: 'instance metadata', expiresAt, retryAfter: METADATA_RETRIES };
    }
    const { project } = partsOf(machine);
    const email = await this.#email(signal);
    const { loginProfile } = await this.#api.call<{ readonly loginProfile?: LoginProfile }>(
      {
        service: 'oslogin',
        path: path`/v1/users/${email}:importSshPublicKey`,
        query: { projectId: project },
        method: 'POST',
        body: { key: publicKey, expirationTimeUsec: String(Math.trunc(expiresAt) * 1_000) },
      },
      osLoginCall(email, `import a key for ${email}`),
      signal,
    );
    return { user: accountIn(loginProfile, user) ?? user, by: 'OS Login', expiresAt };
  }

  async withdrawKey(machine: MachineTarget, publicKey: string, signal: AbortSignal): Promise<void> {
    if (!(await this.#hasOsLogin(machine, signal))) {
      const remove = (value: string | undefined) => withoutKey(value, publicKey);
      await this.#changeMetadata(machine, `take a key back from ${targetLabel(machine)}`, remove, signal);
      return;
    }
    const email = await this.#email(signal);
    // Of the line as it was imported, comment included: by the hash of the key alone nothing is deleted, and the answer is 200.
    const fingerprint = createHash('sha256').update(publicKey).digest('hex');
    try {
      await this.#api.call(
        { service: 'oslogin', path: path`/v1/users/${email}/sshPublicKeys/${fingerprint}`, method: 'DELETE' },
        osLoginCall(email, `delete a key of ${email}`),
        signal,
      );
    } catch (error) {
      if (refusalBehind(error)?.status !== 404) throw error;
    }
  }

  async access(
    machine: MachineTarget,
    _user: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly NeededAction[]> {
    const { project } = partsOf(machine);
    const instance = `instance ${machine.id}`;
    const reading = [
      { action: 'compute.instances.get', resource: instance },
      { action: 'compute.projects.get', resource: `project ${project}`, note: 'whether OS Login is on' },
      { action: 'compute.instances.getGuestAttributes', resource: instance, note: 'its host keys, where it may' },
    ];
    const actAs = {
      action: 'iam.serviceAccounts.actAs',
      resource: `service account of ${machine.id}`,
      note: 'where it runs as one',
    };
    if (!(await this.#hasOsLogin(machine, signal))) {
      return [...reading, { action: 'compute.instances.setMetadata', resource: instance }, actAs];
    }
    return [
      ...reading,
      { action: 'compute.instances.osLogin', resource: instance, note: 'or osAdminLogin, for sudo' },
      actAs,
    ];
  }

  async hostName(machine: MachineTarget, signal: AbortSignal): Promise<string> {
    return (await this.#instance(machine, signal)).id ?? machine.id;
  }

  async hostKeys(machine: MachineTarget, signal: AbortSignal): Promise<PublishedHostKeys | undefined> {
    const { project, zone, name } = partsOf(machine);
    try {
      const answer = await this.#api.call<{
        readonly queryValue?: { readonly items?: readonly { readonly key?: string; readonly value?: string }[] };
      }>(
        {
          service: 'compute',
          path: path`/v1/projects/${project}/zones/${zone}/instances/${name}/getGuestAttributes`,
          query: { queryPath: 'hostkeys/' },
        },
        {
          permission: 'compute.instances.getGuestAttributes',
          resource: `instance ${machine.id}`,
          doing: `read the host keys of ${targetLabel(machine)}`,
        },
        signal,
      );
      const keys = (answer.queryValue?.items ?? []).flatMap(({ key, value }) => {
        const data = value?.trim().split(/\s+/)[0] ?? '';
        const isKey = key !== undefined && HOST_KEY_TYPES.includes(key) && /^[A-Za-z0-9+/]+=*$/.test(data);
        return isKey ? [`${key} ${data}`] : [];
      });
      return keys.length === 0 ? undefined : { keys, source: 'guest attributes' };
    } catch (error) {
      signal.throwIfAborted();
      // 404: nothing was published, which is so unless `enable-guest-attributes` is set.
      if (refusalBehind(error)?.status === 404 || isDenial(error)) return undefined;
      throw error;
    }
  }

  /** The instance's own setting, else the project's. */
  async #hasOsLogin(machine: MachineTarget, signal: AbortSignal): Promise<boolean> {
    const own = itemOf((await this.#instance(machine, signal)).metadata, 'enable-oslogin');
    return isTrue(own ?? (await this.#projectSetting(partsOf(machine).project, 'enable-oslogin', signal)));
  }

  async #projectSetting(project: string, key: string, signal: AbortSignal): Promise<string | undefined> {
    try {
      const answer = await this.#api.call<{ readonly commonInstanceMetadata?: Metadata }>(
        { service: 'compute', path: path`/v1/projects/${project}` },
        {
          permission: 'compute.projects.get',
          resource: `project ${project}`,
          doing: `read the settings of ${project}`,
        },
        signal,
      );
      return itemOf(answer.commonInstanceMetadata, key);
    } catch (error) {
      if (!isDenial(error)) throw error;
      this.#api.warn(`whether ${project} uses OS Login cannot be read (compute.projects.get); taken for no`);
      return undefined;
    }
  }

  #instance(machine: MachineTarget, signal: AbortSignal): Promise<Instance> {
    const known = this.#instances.get(machine.id);
    if (known) return known;
    const asked = this.#readInstance(machine, signal);
    this.#instances.set(machine.id, asked);
    asked.catch(() => this.#instances.delete(machine.id));
    return asked;
  }

  #readInstance(machine: MachineTarget, signal: AbortSignal): Promise<Instance> {
    const { project, zone, name } = partsOf(machine);
    return this.#api.call<Instance>(
      { service: 'compute', path: path`/v1/projects/${project}/zones/${zone}/instances/${name}` },
      {
        permission: 'compute.instances.get',
        resource: `instance ${machine.id}`,
        doing: `look at ${targetLabel(machine)}`,
      },
      signal,
    );
  }

  /** The fingerprint keeps two writers from undoing each other: whoever is late reads again. */
  async #changeMetadata(
    machine: MachineTarget,
    doing: string,
    change: (value: string | undefined) => string,
    signal: AbortSignal,
  ): Promise<void> {
    const { project, zone, name } = partsOf(machine);
    for (let attempt = 1; ; attempt += 1) {
      const { metadata } = await this.#readInstance(machine, signal);
      const others = (metadata?.items ?? []).filter(({ key }) => key !== 'ssh-keys');
      const before = itemOf(metadata, 'ssh-keys');
      const value = change(before);
      if (value === (before ?? '')) return;
      const fingerprint = metadata?.fingerprint;
      try {
        await this.#api.call(
          {
            service: 'compute',
            path: path`/v1/projects/${project}/zones/${zone}/instances/${name}/setMetadata`,
            method: 'POST',
            body: {
              ...(fingerprint !== undefined && { fingerprint }),
              items: value === '' ? others : [...others, { key: 'ssh-keys', value }],
            },
          },
          {
            permission: 'compute.instances.setMetadata',
            resource: `instance ${machine.id}`,
            doing,
            role: 'roles/compute.instanceAdmin.v1',
          },
          signal,
        );
        return;
      } catch (error) {
        if (refusalBehind(error)?.status !== PRECONDITION_FAILED || attempt === WRITE_TRIES) throw error;
      }
    }
  }

  async #email(signal: AbortSignal): Promise<string> {
    const id = (await this.#api.identity(signal))?.id;
    if (id?.includes('@')) return id;
    throw new CloudtunError(
      'CT_LOGIN_REFUSED',
      'OS Login wants an account with an e-mail address, and this identity has none',
      {
        details: id === undefined ? [] : [['identity', id]],
        hint: 'sign in as a person or a service account, or log in with a key of your own: -i FILE',
      },
    );
  }
}

function osLoginCall(email: string, doing: string) {
  return { permission: 'compute.oslogin.login', resource: `user ${email}`, doing, role: 'roles/compute.osLogin' };
}

/** The id of a machine is `project/zone/name`. */
function partsOf({ id }: MachineTarget): { readonly project: string; readonly zone: string; readonly name: string } {
  const [project = '', zone = '', name = ''] = id.split('/');
  return { project, zone, name };
}

function itemOf(metadata: Metadata | undefined, key: string): string | undefined {
  return metadata?.items?.find((item) => item.key === key)?.value;
}

/** "true" in any letter case, as the guest software reads it. */
function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === 'true';
}

/** The account that was asked for, else the primary one, else the first. */
function accountIn(profile: LoginProfile | undefined, wanted: string | undefined): string | undefined {
  const accounts = profile?.posixAccounts ?? [];
  const chosen =
    accounts.find(({ username }) => username === wanted) ?? accounts.find(({ primary }) => primary) ?? accounts[0];
  return chosen?.username;
}

/** What OS Login calls a new account unless the organisation leaves the domain out: `alice@example.com` is `alice_example_com`. */
function osLoginName(email: string): string {
  return email
    .toLowerCase()
    .replace(/[^a-z0-9_]/g, '_')
    .slice(0, 32);
}

/** As gcloud does it: the part before the `@` in lower case, what is no letter or digit as `_`, a digit in front gets a `g`. */
function posixName(email: string): string {
  const name = (email.split('@')[0] ?? '').toLowerCase().replace(/[^a-z0-9_]/g, '_');
  return /^\d/.test(name) ? `g${name}` : name;
}
