import { CloudtunError } from '../../../domain/errors.ts';
import type { CurrentResource } from '../../policy-author.ts';
import type { GcpApi } from '../gcp-api.ts';
import { refusalBehind } from '../gcp-errors.ts';

/** A custom role of a project, as it is compared. */
export interface RoleContent {
  /** `projects/P/roles/ID` */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly permissions: readonly string[];
}

interface RoleAnswer {
  readonly name?: string;
  readonly title?: string;
  readonly description?: string;
  readonly includedPermissions?: readonly string[];
  readonly etag?: string;
  readonly deleted?: boolean;
  readonly stage?: string;
}

/** Custom roles ("iam/docs/reference/rest/v1/projects.roles"). A deleted one keeps its name for weeks, and is taken back. */
export class RoleStore {
  readonly #api: GcpApi;

  constructor(api: GcpApi) {
    this.#api = api;
  }

  /** Undefined: there is none, or it is deleted. One that is switched off gives nothing, whatever it holds. */
  async read(name: string, signal: AbortSignal): Promise<(RoleContent & { readonly etag: string }) | undefined> {
    const found = await this.#get(name, signal);
    if (found === undefined || found.deleted) return undefined;
    const { title = '', description = '', includedPermissions = [], etag = '', stage } = found;
    return { name, title, description, permissions: stage === 'DISABLED' ? [] : [...includedPermissions].sort(), etag };
  }

  /** Makes, changes or deletes it. @throws CT_POLICY_CHANGED, CT_DENIED … */
  async change(
    current: CurrentResource | undefined,
    wanted: RoleContent | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (wanted === undefined) {
      const { name } = current!.content as unknown as RoleContent;
      const found = await this.read(name, signal);
      if (found === undefined) return;
      if (found.etag !== current!.version) throw changed(name);
      await this.#call('DELETE', `/v1/${name}`, undefined, 'delete', name, signal);
      return;
    }
    const { name, title, description, permissions } = wanted;
    const role = { title, description, includedPermissions: permissions, stage: 'GA' };
    const found = await this.#get(name, signal);
    if (found === undefined) {
      const [, project = '', , roleId = ''] = name.split('/');
      await this.#call('POST', `/v1/projects/${project}/roles`, { roleId, role }, 'create', name, signal);
      return;
    }
    if (found.deleted) await this.#call('POST', `/v1/${name}:undelete`, {}, 'undelete', name, signal);
    const { etag } = (await this.#get(name, signal)) ?? {};
    // Made by somebody else since it was read, or by an application that was interrupted: the next look tells.
    if (!found.deleted && current?.version !== etag) {
      if (isSame(found, wanted)) return;
      throw changed(name);
    }
    const body = { ...role, ...(etag !== undefined && { etag }) };
    await this.#call('PATCH', `/v1/${name}`, body, 'update', name, signal);
  }

  async #get(name: string, signal: AbortSignal): Promise<RoleAnswer | undefined> {
    try {
      return await this.#call<RoleAnswer>('GET', `/v1/${name}`, undefined, 'get', name, signal);
    } catch (error) {
      if (refusalBehind(error)?.status === 404) return undefined;
      throw error;
    }
  }

  async #call<Answer>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body: object | undefined,
    verb: string,
    name: string,
    signal: AbortSignal,
  ): Promise<Answer> {
    const call = {
      permission: `iam.roles.${verb}`,
      resource: name,
      doing: `${verb} the role ${name}`,
      role: 'roles/iam.roleAdmin',
    };
    try {
      return await this.#api.call<Answer>({ service: 'iam', path, method, ...(body && { body }) }, call, signal);
    } catch (error) {
      const status = refusalBehind(error)?.status;
      if (status === 409 && verb === 'update') throw changed(name, error);
      throw error;
    }
  }
}

const isSame = (found: RoleAnswer, { title, description, permissions }: RoleContent) =>
  found.stage !== 'DISABLED' &&
  found.title === title &&
  found.description === description &&
  [...(found.includedPermissions ?? [])].sort().join() === [...permissions].sort().join();

function changed(name: string, cause?: unknown): CloudtunError {
  return new CloudtunError('CT_POLICY_CHANGED', `the role ${name} was changed by somebody else meanwhile`, {
    hint: 'look again: cloudtun team plan',
    ...(cause !== undefined && { cause }),
  });
}
