import { CloudtunError } from '../../../domain/errors.ts';
import type { Millis } from '../../../domain/millis.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { AwsApi } from '../aws-api.ts';
import { allPages } from './pages.ts';
import { changing, isAnswer } from './refusals.ts';

interface SetArns {
  readonly instance: string;
  readonly set: string;
}

const ELSEWHERE =
  'Identity Center is administered from one account of an organization: apply with a profile of it, or hand over what team export writes';
/** Guessed: provisioning one account takes seconds. */
const LOOK_AGAIN: Millis = 1_000;
const GIVE_UP: Millis = 180_000;

/**
 * The permission sets of Identity Center. Our policies are attached to them by name: what else is in a set stays untouched, its inline
 * policy above all, which has only one text for everybody.
 */
export class PermissionSets {
  readonly #api: AwsApi;
  readonly #clock: Clock;
  readonly #account: string;
  #known: Promise<ReadonlyMap<string, SetArns>> | undefined;

  constructor(api: AwsApi, clock: Clock, account: string) {
    this.#api = api;
    this.#clock = clock;
    this.#account = account;
  }

  /** Whether Identity Center shows itself to this account: it does in the one that administers it. */
  async isVisible(signal: AbortSignal): Promise<boolean> {
    try {
      return (await this.#all(signal)).size > 0;
    } catch (error) {
      if (error instanceof CloudtunError && error.code === 'CT_DENIED') return false;
      throw error;
    }
  }

  /** @throws CT_TARGET_NOT_FOUND, CT_DENIED */
  async find(name: string, signal: AbortSignal): Promise<SetArns> {
    const known = await this.#all(signal).catch((error: unknown) => {
      if (!(error instanceof CloudtunError) || error.code !== 'CT_DENIED') throw error;
      const { message, details, cause } = error;
      throw new CloudtunError('CT_DENIED', message, { details, hint: ELSEWHERE, cause });
    });
    const found = known.get(name);
    if (found !== undefined) return found;
    throw new CloudtunError('CT_TARGET_NOT_FOUND', `there is no permission set ${name}`, {
      details:
        known.size === 0
          ? [['Identity Center', 'shows none to this account']]
          : [['there are', [...known.keys()].join(', ')]],
      hint: ELSEWHERE,
    });
  }

  /** Names of customer managed policies that a set refers to. */
  async references(name: string, signal: AbortSignal): Promise<readonly string[]> {
    const { instance, set } = await this.find(name, signal);
    const call = {
      action: 'sso:ListCustomerManagedPolicyReferencesInPermissionSet',
      resource: `permission set ${name}`,
      doing: `read the permission set ${name}`,
    };
    const found = await this.#api.ssoAdmin(call, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListCustomerManagedPolicyReferencesInPermissionSetCommand({
            InstanceArn: instance,
            PermissionSetArn: set,
            ...(marker !== undefined && { NextToken: marker }),
          }),
          options,
        );
        return { items: answer.CustomerManagedPolicyReferences, next: answer.NextToken };
      }),
    );
    return found.flatMap(({ Name, Path = '/' }) => (Name !== undefined && Path === '/' ? [Name] : []));
  }

  async attach(name: string, policy: string, signal: AbortSignal): Promise<void> {
    const { instance, set } = await this.find(name, signal);
    if ((await this.references(name, signal)).includes(policy)) return;
    const call = {
      action: 'sso:AttachCustomerManagedPolicyReferenceToPermissionSet',
      resource: `permission set ${name}`,
      doing: `attach ${policy} to the permission set ${name}`,
    };
    await changing(`permission set ${name}`, () =>
      this.#api.ssoAdmin(call, signal, (sdk, client, options) =>
        client.send(
          new sdk.AttachCustomerManagedPolicyReferenceToPermissionSetCommand({
            InstanceArn: instance,
            PermissionSetArn: set,
            CustomerManagedPolicyReference: { Name: policy, Path: '/' },
          }),
          options,
        ),
      ),
    );
  }

  async detach(name: string, policy: string, signal: AbortSignal): Promise<void> {
    const { instance, set } = await this.find(name, signal);
    const call = {
      action: 'sso:DetachCustomerManagedPolicyReferenceFromPermissionSet',
      resource: `permission set ${name}`,
      doing: `detach ${policy} from the permission set ${name}`,
    };
    const detach = () =>
      this.#api.ssoAdmin(call, signal, (sdk, client, options) =>
        client.send(
          new sdk.DetachCustomerManagedPolicyReferenceFromPermissionSetCommand({
            InstanceArn: instance,
            PermissionSetArn: set,
            CustomerManagedPolicyReference: { Name: policy, Path: '/' },
          }),
          options,
        ),
      );
    await changing(`permission set ${name}`, () =>
      detach().catch((error: unknown) => {
        if (!isAnswer(error, 'ResourceNotFoundException')) throw error;
      }),
    );
  }

  /** Writes a set into its role in this account, and waits until that is done. @throws CT_POLICY_REFUSED, CT_TIMEOUT */
  async provision(name: string, signal: AbortSignal): Promise<void> {
    const { instance, set } = await this.find(name, signal);
    const resource = `permission set ${name}`;
    const provision = { action: 'sso:ProvisionPermissionSet', resource, doing: `provision the permission set ${name}` };
    const begun = await changing(resource, () =>
      this.#api.ssoAdmin(provision, signal, (sdk, client, options) =>
        client.send(
          new sdk.ProvisionPermissionSetCommand({
            InstanceArn: instance,
            PermissionSetArn: set,
            TargetType: 'AWS_ACCOUNT',
            TargetId: this.#account,
          }),
          options,
        ),
      ),
    );
    let status = begun.PermissionSetProvisioningStatus;
    const started = this.#clock.now();
    const look = {
      action: 'sso:DescribePermissionSetProvisioningStatus',
      resource,
      doing: `see how far ${resource} is`,
    };
    while (status?.Status === 'IN_PROGRESS') {
      if (this.#clock.now() - started > GIVE_UP) {
        throw new CloudtunError(
          'CT_TIMEOUT',
          `the permission set ${name} is still being provisioned after ${GIVE_UP / 60_000} minutes`,
          {
            hint: 'it may go on by itself; look again: cloudtun team plan',
          },
        );
      }
      await this.#clock.sleep(LOOK_AGAIN, signal);
      const id = status.RequestId ?? '';
      const answer = await this.#api.ssoAdmin(look, signal, (sdk, client, options) =>
        client.send(
          new sdk.DescribePermissionSetProvisioningStatusCommand({
            InstanceArn: instance,
            ProvisionPermissionSetRequestId: id,
          }),
          options,
        ),
      );
      status = answer.PermissionSetProvisioningStatus;
    }
    if (status?.Status === 'SUCCEEDED') return;
    throw new CloudtunError(
      'CT_POLICY_REFUSED',
      `the permission set ${name} could not be provisioned to ${this.#account}`,
      {
        details: [['AWS says', status?.FailureReason ?? 'no reason']],
        hint: 'the policies that it refers to have to be in every account that it is provisioned to',
      },
    );
  }

  #all(signal: AbortSignal): Promise<ReadonlyMap<string, SetArns>> {
    const known = this.#known ?? this.#list(signal);
    this.#known = known;
    known.catch(() => {
      this.#known = undefined;
    });
    return known;
  }

  async #list(signal: AbortSignal): Promise<ReadonlyMap<string, SetArns>> {
    const call = { action: 'sso:ListInstances', doing: 'look for Identity Center' };
    const { Instances = [] } = await this.#api.ssoAdmin(call, signal, (sdk, client, options) =>
      client.send(new sdk.ListInstancesCommand({}), options),
    );
    const sets = new Map<string, SetArns>();
    for (const { InstanceArn: instance } of Instances) {
      if (instance === undefined) continue;
      for (const [name, set] of await this.#setsOf(instance, signal)) sets.set(name, { instance, set });
    }
    return sets;
  }

  async #setsOf(instance: string, signal: AbortSignal): Promise<readonly (readonly [name: string, arn: string])[]> {
    const list = { action: 'sso:ListPermissionSets', doing: 'list the permission sets' };
    const arns = await this.#api.ssoAdmin(list, signal, (sdk, client, options) =>
      allPages(async (marker) => {
        const answer = await client.send(
          new sdk.ListPermissionSetsCommand({
            InstanceArn: instance,
            MaxResults: 100,
            ...(marker !== undefined && { NextToken: marker }),
          }),
          options,
        );
        return { items: answer.PermissionSets, next: answer.NextToken };
      }),
    );
    const describe = { action: 'sso:DescribePermissionSet', doing: 'read the permission sets' };
    const named: (readonly [string, string])[] = [];
    // One after the other: Identity Center takes 20 calls a second from everybody together.
    for (const arn of arns) {
      const { PermissionSet } = await this.#api.ssoAdmin(describe, signal, (sdk, client, options) =>
        client.send(new sdk.DescribePermissionSetCommand({ InstanceArn: instance, PermissionSetArn: arn }), options),
      );
      if (PermissionSet?.Name !== undefined) named.push([PermissionSet.Name, arn]);
    }
    return named;
  }
}
