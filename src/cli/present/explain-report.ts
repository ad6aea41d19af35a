import type { TunnelExplanation } from '../../broker/broker-types.ts';
import { formatEndpoint } from '../../domain/endpoint.ts';
import { farEndpoint, type NodeTarget, type Route, type Target, targetLabel } from '../../domain/target.ts';
import type { Place } from './event-json.ts';
import { printable } from './printable.ts';

/** What `--explain --json` prints for each route. */
export interface ExplanationJson {
  readonly target: { readonly kind: string; readonly id: string; readonly label: string };
  readonly node: { readonly id: string; readonly name?: string };
  readonly to: { readonly host?: string; readonly port: number };
  readonly local: readonly string[];
  readonly reasons: readonly string[];
  readonly rejected: readonly { readonly id: string; readonly name?: string; readonly reason: string }[];
  readonly document?: string;
  readonly actions: readonly { readonly action: string; readonly resource: string; readonly note?: string }[];
}

/** @param local the addresses that would be bound, such as `127.0.0.1:13306`; none for what binds nothing */
export function explanationJson({ route, access }: TunnelExplanation, local: readonly string[]): ExplanationJson {
  const { target, node, to } = route;
  return {
    target: { kind: target.kind, id: target.id, label: targetLabel(target) },
    node: nodeJson(node),
    to: { ...(to.host !== undefined && { host: to.host }), port: to.port },
    local,
    reasons: route.reasons,
    rejected: route.rejected.map((entry) => ({ ...nodeJson(entry.node), reason: entry.reason })),
    ...(access.document !== undefined && { document: access.document }),
    actions: access.actions,
  };
}

function nodeJson(node: NodeTarget): { id: string; name?: string } {
  return { id: node.id, ...(node.name !== undefined && { name: node.name }) };
}

const INDENT = 11;

/** The report of `--explain`: the way, why this way, why no other, and what has to be allowed. */
export function explanationLines(
  explanation: TunnelExplanation,
  local: readonly string[],
  place: Place,
): readonly string[] {
  const { route, access } = explanation;
  const widest = Math.max(0, ...access.actions.map(({ action }) => action.length));
  const lines = [
    ...labelled('target', [`${describeTarget(route)}, ${place.label}`]),
    ...(local.length === 0 ? [] : labelled('local', [local.join(' and ')])),
    ...labelled('route', [describeNode(route)]),
    ...labelled('because', route.reasons),
    ...labelled(
      'not taken',
      route.rejected.map(({ node, reason }) => `${nodeName(node)}: ${reason}`),
    ),
    ...labelled('document', access.document === undefined ? [] : [access.document]),
    ...labelled(
      'needs',
      access.actions.map(({ action, resource, note }) => {
        const remark = note === undefined ? '' : ` (${note})`;
        return `${action.padEnd(widest)}  ${resource}${remark}`;
      }),
    ),
  ];
  return lines.map(printable);
}

function labelled(label: string, texts: readonly string[]): readonly string[] {
  return texts.map((text, index) => `${(index === 0 ? label : '').padEnd(INDENT)}${text}`);
}

function describeTarget(route: Route): string {
  const { target, to } = route;
  if (target.kind === 'database')
    return `${target.id} (${target.engineLabel}) at ${formatEndpoint(farEndpoint(route))}`;
  return target.kind === 'host' ? formatEndpoint(farEndpoint(route)) : `${formatEndpoint(to)} of ${nodeName(target)}`;
}

function describeNode({ target, node }: Route): string {
  return node.id === target.id ? `${nodeName(node)} itself` : `via ${nodeName(node)}`;
}

function nodeName(node: Pick<Target, 'id' | 'name'>): string {
  return node.name === undefined || node.name === node.id ? node.id : `${node.name} (${node.id})`;
}
