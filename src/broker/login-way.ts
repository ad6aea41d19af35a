import { CloudtunError } from '../domain/errors.ts';
import type { HopName } from '../domain/hop-name.ts';
import {
  type CloudTarget,
  type DatabaseTarget,
  type FarHostTarget,
  type MachineTarget,
  type NodeTarget,
  targetLabel,
} from '../domain/target.ts';
import type { Provider, TargetFinder } from '../providers/provider.ts';
import type { TunnelRequest } from './broker-types.ts';
import type { OwnHop } from './brokered-tunnel.ts';
import { findTarget } from './route.ts';

/*
 * Ways that log in to machines: when they are taken, and what they consist of. The cloud's own tunnel leads to the first machine; from
 * there on each one is logged in to over the one before it.
 */

export const SSH_PORT = 22;

/** A server on the way, found: what the hop before it calls it. */
export interface FoundHop {
  readonly target: MachineTarget | FarHostTarget;
  readonly address: string;
  readonly user?: string;
  readonly port: number;
}

/** Where a chain ends. */
export type ChainEnd =
  /** Endpoints as the last machine that is logged in to sees them. */
  | { readonly kind: 'hop' }
  /** A machine that is reached and not logged in to: endpoints without a host are its own. */
  | { readonly kind: 'machine'; readonly found: FoundHop }
  | { readonly kind: 'database'; readonly target: DatabaseTarget };

/** A way that logs in to machines: from the cloud's own tunnel to the first, through every other, to the end. */
export interface Chain {
  readonly hops: readonly FoundHop[];
  readonly end: ChainEnd;
}

/**
 * Finds a machine that may be one of the cloud's, or just a name that the hop before it can resolve.
 *
 * @param behind what it is reached through: the same name means another host elsewhere
 */
export async function findHop(
  finder: TargetFinder,
  { text, user, port }: HopName,
  behind: NodeTarget,
  signal: AbortSignal,
): Promise<FoundHop> {
  const how = { ...(user !== undefined && { user }), port: port ?? SSH_PORT };
  try {
    const target = await finder.findMachine(text, { mustBeOnline: false, mustExist: true }, signal);
    if (target.kind === 'machine') {
      const address = target.privateIp ?? target.privateDns;
      if (address === undefined) throw addressless(target);
      return { ...how, target, address };
    }
    return { ...how, target: farHost(target.host, behind), address: target.host };
  } catch (error) {
    if (!(error instanceof CloudtunError) || error.code !== 'CT_TARGET_NOT_FOUND' || !isHostName(text)) throw error;
    return { ...how, target: farHost(text, behind), address: text };
  }
}

/** What can be looked up as a host: no `tag:…`, no id, no path. */
function isHostName(text: string): boolean {
  return /^[\w.:-]+$/.test(text) && !/^(tag|label|asg):/.test(text) && !/^m?i-[0-9a-f]{8,}$/.test(text);
}

function farHost(host: string, behind: NodeTarget | FarHostTarget): FarHostTarget {
  const { provider } = behind;
  return { kind: 'far-host', provider, id: `${behind.id}>${host.toLowerCase()}`, name: host, host };
}

function addressless(target: MachineTarget): CloudtunError {
  return new CloudtunError('CT_TARGET_STOPPED', `${targetLabel(target)} has no private address that is known`, {
    hint: 'is it running? its address may be named instead',
  });
}

/** What a request asks for of the machines on the way. */
export interface LoginWay {
  /** Where the cloud's own tunnel ends, and how it is logged in to if it has to be. */
  readonly base: HopName;
  readonly login: OwnHop;
  /** Machines behind it that are logged in to. */
  readonly hops: readonly HopName[];
  /** A machine that is reached and not logged in to. */
  readonly end: HopName | undefined;
  /** Nothing is on the way: hosts are reached from the target itself. */
  readonly isItself: boolean;
}

/** Where the cloud's own tunnel has to lead first: what tells which cloud it is. */
export function entryRequest(request: TunnelRequest): TunnelRequest {
  const [first] = request.via ?? [];
  return request.kind === 'database' || first === undefined ? request : { kind: 'machine', text: first.text, to: [] };
}

/** Whether only logins lead there: the tunnel service takes one machine on the way at most, as nobody in particular. */
export function needsLogins(request: TunnelRequest): boolean {
  const [first, ...others] = request.via ?? [];
  const isOfTarget = request.kind === 'machine' && request.login?.user !== undefined;
  if (first === undefined) return isOfTarget;
  if (others.length > 0 || first.user !== undefined) return true;
  // From a machine behind another one, hosts are reached by a login to it.
  return request.kind === 'machine' && (request.anywhere === true || request.to.some(({ host }) => host !== undefined));
}

/** Whether a way by logins may be there where the tunnel service has none. */
export function mayLogIn(error: unknown, request: TunnelRequest, { logins }: Provider): boolean {
  if (logins === undefined || !(error instanceof CloudtunError)) return false;
  if (hasNoRoute(error)) return request.kind === 'machine' || request.via !== undefined;
  // The machine on the way may know a name that the cloud does not.
  return error.code === 'CT_TARGET_NOT_FOUND' && request.kind === 'machine' && request.via !== undefined;
}

/** The tunnel service by itself does not lead there. */
export function hasNoRoute(error: unknown): boolean {
  return error instanceof CloudtunError && error.code === 'CT_NO_BASTION';
}

export function loginWay(request: TunnelRequest): LoginWay {
  const via = request.via ?? [];
  if (request.kind === 'database') {
    const [base, ...hops] = via;
    return { base: base!, login: loginOf(base!), hops, end: undefined, isItself: false };
  }
  const itself: HopName = { written: request.text, text: request.text, ...request.login };
  const [base, ...hops] = via;
  if (base === undefined) return { base: itself, login: loginOf(itself), hops: [], end: undefined, isItself: true };
  const isReachedOnly = !request.anywhere && request.to.every(({ host }) => host === undefined);
  return isReachedOnly
    ? { base, login: loginOf(base), hops, end: itself, isItself: false }
    : { base, login: loginOf(base), hops: [...hops, itself], end: undefined, isItself: false };
}

function loginOf({ user, usualUser = user, port }: HopName): OwnHop {
  const isWanted = user !== undefined;
  return { isWanted, ...(usualUser !== undefined && { user: usualUser }), ...(port !== undefined && { port }) };
}

/** Finds every machine of a way, each as the one before it is logged in to. @throws as `findHop`; for a database as `TargetFinder.findDatabase` */
export async function findChain(
  finder: TargetFinder,
  request: TunnelRequest,
  way: LoginWay,
  node: MachineTarget,
  signal: AbortSignal,
): Promise<Chain> {
  const [hops, end] = await Promise.all([
    Promise.all(way.hops.map((hop) => findHop(finder, hop, node, signal))),
    findEnd(finder, request, way, node, signal),
  ]);
  let behind: NodeTarget | FarHostTarget = node;
  const placed = hops.map((hop) => {
    const found = foundBehind(hop, behind);
    behind = found.target;
    return found;
  });
  return { hops: placed, end: end.kind === 'machine' ? { ...end, found: foundBehind(end.found, behind) } : end };
}

/** All are looked for at once, as if behind the first machine; the same name behind another one is another host, with other keys. */
function foundBehind(hop: FoundHop, behind: NodeTarget | FarHostTarget): FoundHop {
  return hop.target.kind === 'far-host' ? { ...hop, target: farHost(hop.target.host, behind) } : hop;
}

async function findEnd(
  finder: TargetFinder,
  request: TunnelRequest,
  way: LoginWay,
  node: MachineTarget,
  signal: AbortSignal,
): Promise<ChainEnd> {
  if (request.kind === 'database') {
    return { kind: 'database', target: (await findTarget(finder, request, signal)) as DatabaseTarget };
  }
  return way.end === undefined
    ? { kind: 'hop' }
    : { kind: 'machine', found: await findHop(finder, way.end, node, signal) };
}

export function noLogins(target: CloudTarget): CloudtunError {
  return new CloudtunError('CT_NO_BASTION', `${targetLabel(target)} is no machine that can be logged in to`, {
    hint: 'go through a machine: cloudtun targets --kind machine',
  });
}
