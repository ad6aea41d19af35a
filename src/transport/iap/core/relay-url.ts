/**
 * The addresses of the relay's two end points (docs/protocol/iap.md, "Targets", "Reconnect"). Keys are in the order in which the
 * official client writes them. The encoding is that of forms; URLSearchParams differs in `~` and `*`.
 */
import type { IapHost, IapInstance } from '../../../domain/ticket.ts';

type Query = readonly (readonly [key: string, value: string | Uint8Array])[];

/** What a session is asked for at. @param root `wss://tunnel.cloudproxy.app/v4` */
export function connectUrl(root: string, target: IapInstance | IapHost, port: number): string {
  return `${root}/connect?${encode([
    ['project', target.project],
    ['port', String(port)],
    ['newWebsocket', 'True'],
    ...where(target),
  ])}`;
}

/**
 * Where a session goes on.
 *
 * @param sid the bytes of CONNECT_SUCCESS_SID
 * @param received payload bytes that we have of this session: not what was acknowledged, nor what the service acknowledged
 */
export function reconnectUrl(
  root: string,
  target: IapInstance | IapHost,
  sid: Uint8Array,
  received: number | bigint,
): string {
  const place: Query[number] = target.kind === 'instance' ? ['zone', target.zone] : ['region', target.region];
  return `${root}/reconnect?${encode([['sid', sid], ['ack', String(received)], ['newWebsocket', 'True'], place])}`;
}

function where(target: IapInstance | IapHost): Query {
  if (target.kind === 'instance') {
    const { zone, instance, networkInterface } = target;
    return [
      ['zone', zone],
      ['instance', instance],
      ['interface', networkInterface],
    ];
  }
  const { region, network, host, group } = target;
  return [
    ['region', region],
    ['network', network],
    ['host', host],
    ...(group === undefined ? [] : [['group', group] as const]),
  ];
}

const PLAIN = /[A-Za-z0-9_.~-]/;

const encode = (query: Query) => query.map(([key, value]) => `${key}=${encodeValue(value)}`).join('&');

function encodeValue(value: string | Uint8Array): string {
  let text = '';
  for (const byte of typeof value === 'string' ? Buffer.from(value) : value) {
    const character = String.fromCharCode(byte);
    if (PLAIN.test(character)) text += character;
    else if (character === ' ') text += '+';
    else text += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
