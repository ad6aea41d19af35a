/*
 * The journal in the Open Cybersecurity Schema Framework, version 1.3.0: every event is one of the class Tunnel Activity (4014) of the
 * category Network Activity (4), with the activities Open, Close, Renew and Other. https://schema.ocsf.io/1.3.0/classes/tunnel_activity
 *
 * Left out on purpose: other classes. A client that comes or a command that is run is something that happens to a tunnel (Other, with
 * its name), so that one query finds a whole conversation by `session.uid`.
 */
import { readEndpoint, severityOf, titleOf } from './event-words.ts';
import type { ToldLine } from './line-selection.ts';

type Fields = Readonly<Record<string, unknown>>;

const CLASS = 4014;
const OTHER = 99;
/** Activities of the class. */
const ACTIVITIES: Readonly<Record<string, { readonly id: number; readonly name: string }>> = {
  open: { id: 1, name: 'Open' },
  end: { id: 2, name: 'Close' },
  renewal: { id: 3, name: 'Renew' },
};
/** Informational, low, medium of the framework. */
const SEVERITIES = { usual: 1, notable: 2, denied: 3 } as const;
const SUCCESS = 1;
const FAILURE = 2;
/** The user's type is not known: a person, a role, a service. */
const UNKNOWN = 0;

/** A line of JSON. @param version of cloudtun */
export function ocsfLine({ line, tunnel }: ToldLine, version: string): string {
  const fields: Fields = { ...tunnel, ...line.event };
  const event = String(fields.event);
  const activity = ACTIVITIES[event] ?? { id: OTHER, name: titleOf(fields) };
  const isFailure = event === 'denial' || fields.code !== undefined;
  return `${JSON.stringify({
    activity_id: activity.id,
    activity_name: activity.name,
    category_name: 'Network Activity',
    category_uid: 4,
    class_name: 'Tunnel Activity',
    class_uid: CLASS,
    type_uid: CLASS * 100 + activity.id,
    severity_id: SEVERITIES[severityOf(fields)],
    status_id: isFailure ? FAILURE : SUCCESS,
    ...said({ status_code: fields.code, status_detail: fields.message ?? fields.why, message: titleOf(fields) }),
    time: line.time,
    ...said({ duration: fields.durationMs }),
    metadata: {
      version: '1.3.0',
      product: { name: 'cloudtun', vendor_name: 'cloudtun', version },
      event_code: event,
      ...said({ uid: fields.segment === undefined ? undefined : `${fields.segment}:${fields.seq}` }),
      ...said({ sequence: fields.seq }),
    },
    user: {
      type_id: UNKNOWN,
      ...said({ name: fields.name ?? fields.hostUser ?? 'unknown', uid: fields.person }),
      ...(fields.account !== undefined && { account: { uid: String(fields.account) } }),
    },
    device: { type_id: UNKNOWN, ...said({ hostname: fields.host ?? 'unknown' }) },
    session: { uid: String(fields.tunnel ?? `${fields.segment}:${fields.seq}`), ...said({ uid_alt: fields.session }) },
    tunnel_type: 'Session tunnel',
    tunnel_type_id: OTHER,
    protocol_name: 'tcp',
    ...endpoints(fields),
    ...(fields.bytesUp !== undefined && {
      traffic: { bytes_in: fields.bytesDown, bytes_out: fields.bytesUp, bytes: sum(fields) },
    }),
    unmapped: unmapped(fields),
  })}\n`;
}

function endpoints(fields: Fields): object {
  const from = readEndpoint(fields.from);
  const to = readEndpoint(fields.to);
  const far = {
    name: fields.target ?? fields.asked,
    hostname: to?.host,
    port: to?.port,
    instance_uid: fields.targetId,
  };
  return {
    ...(from && { src_endpoint: { ...said({ ip: from.host, port: from.port }) } }),
    ...(Object.values(far).some((value) => value !== undefined) && { dst_endpoint: said(far) }),
  };
}

/** What the class has no attribute for. */
function unmapped(fields: Fields): object {
  const { place, node, document, reason, use, rule, program, hops, from, change, how, connections } = fields;
  const stdio = readEndpoint(from) === undefined ? from : undefined;
  return said({ place, node, document, reason, use, rule, program, hops, from: stdio, change, how, connections });
}

function sum({ bytesUp, bytesDown }: Fields): number {
  return Number(bytesUp) + Number(bytesDown);
}

function said(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
