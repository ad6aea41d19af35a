import { isIPv6 } from 'node:net';
import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import type { RemoteEndpoint } from '../domain/endpoint.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { CloudTarget, Route, Target } from '../domain/target.ts';
import type { TargetFinder } from '../providers/provider.ts';
import type { TunnelRequest } from './broker-types.ts';

/**
 * Resolves the target of a request.
 *
 * @param options see FindMachineOptions
 * @throws CT_TARGET_*, CT_DENIED, CT_NO_CREDENTIALS …
 */
export function findTarget(
  finder: TargetFinder,
  request: TunnelRequest,
  signal: AbortSignal,
  options: { readonly mustExist?: boolean } = {},
): Promise<CloudTarget> {
  if (request.kind === 'database') {
    return finder.findDatabase(request.text, request.reader === undefined ? {} : { reader: request.reader }, signal);
  }
  const wanted = {
    ...options,
    ...(request.via !== undefined && { mustBeOnline: false }),
    ...(request.isQuick && { asNamed: true }),
  };
  return finder.findMachine(request.text, wanted, signal);
}

/**
 * The way to one endpoint of a target.
 *
 * @param to the database's own endpoint, or any endpoint as a machine sees it
 * @throws CT_NO_BASTION with a reason for each machine that was looked at
 */
export function findRoute(
  finder: TargetFinder,
  request: TunnelRequest,
  target: CloudTarget,
  to: RemoteEndpoint,
  signal: AbortSignal,
): Promise<Route> {
  const [hop] = request.via ?? [];
  const via = hop === undefined ? {} : { via: splitCloudPrefix(hop.written).text };
  const host = target.kind !== 'database' && to.host !== undefined ? { host: to.host } : {};
  return finder.routeTo(target, to.port, { ...via, ...host }, signal);
}

/**
 * The way to an endpoint that a client named, where the request is for anywhere. A host beside the one of a destination group is
 * reached through the same group, if it is a member.
 *
 * @throws CT_REMOTE_FORBIDDEN when the cloud's tunnel service reaches nothing behind the target
 */
export async function findRouteAnywhere(
  finder: TargetFinder,
  request: TunnelRequest,
  target: CloudTarget,
  to: RemoteEndpoint,
  signal: AbortSignal,
): Promise<Route> {
  if (target.kind === 'host' && to.host !== undefined && to.host !== target.host) {
    const host = isIPv6(to.host) ? `[${to.host}]` : to.host;
    const place = target.id.slice(target.id.lastIndexOf('@'));
    const sibling = await finder.findMachine(`${host}${place}`, {}, signal);
    return findRoute(finder, request, sibling, { port: to.port }, signal);
  }
  try {
    return await findRoute(finder, request, target, to, signal);
  } catch (error) {
    if (!(error instanceof CloudtunError) || error.code !== 'CT_NO_BASTION') throw error;
    throw new CloudtunError('CT_REMOTE_FORBIDDEN', `${error.message}; another host needs an SSH hop on the machine`, {
      hint: error.hints,
      cause: error,
    });
  }
}

/** One endpoint that stands for all of a request for anywhere: what is asked of the cloud is the same for each. */
export function anyEndpoint(target: Target): RemoteEndpoint {
  return target.kind === 'host' ? { port: 443 } : { host: 'localhost', port: 443 };
}

/** The endpoints a request asks for. */
export function requestedEndpoints(request: TunnelRequest, target: Target): readonly RemoteEndpoint[] {
  if (request.kind === 'machine') return request.to;
  if (target.kind === 'database') return [target.endpoint];
  throw new CloudtunError('CT_INTERNAL', `a database was asked for and ${target.id} is a ${target.kind}`);
}
