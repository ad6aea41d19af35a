import { CloudtunError } from '../../../domain/errors.ts';
import type { CurrentResource } from '../../policy-author.ts';
import type { GcpApi } from '../gcp-api.ts';
import { refusalBehind } from '../gcp-errors.ts';

/** A destination group, as it is compared. */
export interface GroupContent {
  /** `projects/P/iap_tunnel/locations/R/destGroups/NAME` */
  readonly name: string;
  readonly cidrs: readonly string[];
  readonly fqdns: readonly string[];
}

/** Destination groups of Identity-Aware Proxy ("iap/docs/reference/rest/v1/projects.iap_tunnel.locations.destGroups"). */
export class GroupStore {
  readonly #api: GcpApi;

  constructor(api: GcpApi) {
    this.#api = api;
  }

  async read(name: string, signal: AbortSignal): Promise<GroupContent | undefined> {
    try {
      const found = await this.#call<Partial<GroupContent>>('GET', `/v1/${name}`, undefined, 'get', name, signal);
      return { name, cidrs: [...(found.cidrs ?? [])].sort(), fqdns: [...(found.fqdns ?? [])].sort() };
    } catch (error) {
      if (refusalBehind(error)?.status === 404) return undefined;
      throw error;
    }
  }

  /** Makes, changes or deletes it. @throws CT_POLICY_CHANGED, CT_DENIED … */
  async change(
    current: CurrentResource | undefined,
    wanted: GroupContent | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = wanted ?? (current!.content as unknown as GroupContent);
    const found = await this.read(name, signal);
    if (wanted === undefined) {
      if (found === undefined) return;
      if (!sameHosts(found, current!.content as unknown as GroupContent)) throw changed(name);
      await this.#call('DELETE', `/v1/${name}`, undefined, 'delete', name, signal);
      return;
    }
    const { cidrs, fqdns } = wanted;
    if (found === undefined) {
      const [parent = '', id = ''] = name.split('/destGroups/');
      const path = `/v1/${parent}/destGroups`;
      await this.#call('POST', path, { cidrs, fqdns }, 'create', name, signal, { tunnelDestGroupId: id });
      return;
    }
    if (sameHosts(found, wanted)) return;
    if (current === undefined || !sameHosts(found, current.content as unknown as GroupContent)) throw changed(name);
    const query = { updateMask: 'cidrs,fqdns' };
    await this.#call('PATCH', `/v1/${name}`, { cidrs, fqdns }, 'update', name, signal, query);
  }

  async #call<Answer>(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body: object | undefined,
    verb: string,
    name: string,
    signal: AbortSignal,
    query: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const call = {
      permission: `iap.tunnelDestGroups.${verb}`,
      resource: name,
      doing: `${verb} the destination group ${name}`,
      role: verb === 'get' ? 'roles/iap.tunnelDestGroupViewer' : 'roles/iap.tunnelDestGroupEditor',
    };
    return this.#api.call<Answer>({ service: 'iap', path, method, query, ...(body && { body }) }, call, signal);
  }
}

const sameHosts = (one: GroupContent, two: GroupContent) =>
  [...one.cidrs].sort().join() === [...two.cidrs].sort().join() &&
  [...one.fqdns].sort().join() === [...two.fqdns].sort().join();

function changed(name: string): CloudtunError {
  return new CloudtunError('CT_POLICY_CHANGED', `the destination group ${name} is not what it was`, {
    hint: 'look again: cloudtun team plan',
  });
}
