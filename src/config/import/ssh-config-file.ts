import SSHConfig from 'ssh-config';
import type { ProposedTarget } from '../propose-targets.ts';
import type { Imported } from './imported.ts';

/*
 * Hosts of an ssh configuration that stand for Session Manager or Identity-Aware Proxy: a ProxyCommand of the vendors' programs, a jump
 * over such a host, and the local forwards of both.
 */

type Options = Readonly<Record<string, string | readonly string[]>>;

/** @throws what the parser throws */
export function importSshConfig(text: string): Imported {
  const config = SSHConfig.parse(text);
  const targets: ProposedTarget[] = [];
  const leftOut: { name: string; reason: string }[] = [];
  const known = new Set<string>();
  for (const name of hostNames(config)) {
    const options = config.compute(name) as Options;
    const entry = machineOf(name, options) ?? behind(name, options, known);
    if (typeof entry === 'string') {
      leftOut.push({ name, reason: entry });
      continue;
    }
    if (entry === undefined) {
      leftOut.push({ name, reason: 'no Session Manager and no Identity-Aware Proxy leads to it' });
      continue;
    }
    known.add(name);
    targets.push({ name, entry });
    for (const forward of listed(options.LocalForward)) targets.push(...forwardOf(name, forward, leftOut));
  }
  return { targets, defaults: {}, leftOut };
}

/** Names without patterns: what stands for many hosts is no target. */
function hostNames(config: SSHConfig): readonly string[] {
  const names = config.flatMap((line) => {
    if (line.type !== SSHConfig.DIRECTIVE || line.param.toLowerCase() !== 'host') return [];
    const { value } = line as { value: string | readonly { readonly val: string }[] };
    return typeof value === 'string' ? value.split(/\s+/) : value.map(({ val }) => val);
  });
  return [...new Set(names)].filter((name) => !/[*?!]/.test(name));
}

function machineOf(name: string, options: Options): Record<string, unknown> | string | undefined {
  const command = first(options.ProxyCommand);
  if (command === undefined || /^none$/i.test(command)) return undefined;
  const host = first(options.HostName) ?? name;
  const user = userOf(options);
  const flag = (word: string) => new RegExp(`--${word}[= ]+["']?([^\\s"']+)`).exec(command)?.[1];
  if (/\bssm\s+start-session\b/.test(command)) {
    const place = { ...optional('profile', flag('profile')), ...optional('region', flag('region')) };
    const target = /^%h$/.test(flag('target') ?? '%h') ? host : flag('target')!;
    return { aws: { instance: target, ...place }, ...user };
  }
  const [, instance = ''] = /\bstart-iap-tunnel\s+["']?([^\s"']+)/.exec(command) ?? [];
  if (instance === '') return /\bcloudtun\b/.test(command) ? 'it is ours already' : undefined;
  const place = { ...optional('project', flag('project')), ...optional('zone', flag('zone')) };
  return { gcp: { instance: /^%h$/.test(instance) ? host : instance, ...place }, ...user };
}

function behind(name: string, options: Options, known: ReadonlySet<string>): Record<string, unknown> | undefined {
  const jumps = (first(options.ProxyJump) ?? '').split(',').map((jump) => jump.trim());
  if (jumps[0] === undefined || !known.has(jumps[0])) return undefined;
  const hostPort = Number(first(options.Port) ?? 22);
  return {
    host: first(options.HostName) ?? name,
    hostPort,
    via: jumps.length === 1 ? jumps[0] : jumps,
    ...userOf(options),
  };
}

/** `LocalForward 13306 db.internal:3306` of a host is a target behind it. */
function forwardOf(
  via: string,
  forward: string,
  leftOut: { name: string; reason: string }[],
): readonly ProposedTarget[] {
  const [, bind, port, host = '', hostPort] = /^(?:(.+):)?(\d+)\s+\[?([^\s\]]+)\]?:(\d+)$/.exec(forward.trim()) ?? [];
  if (port === undefined) {
    leftOut.push({ name: `${via}: LocalForward ${forward}`, reason: 'it is not PORT HOST:PORT' });
    return [];
  }
  const isItself = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host);
  const name = `${via}-${isItself ? hostPort : host.split('.')[0]}`;
  if (isItself) {
    leftOut.push({
      name: `${via}: LocalForward ${forward}`,
      reason: `it is a port of ${via} itself: cloudtun forward ${via} -L ${port}:${hostPort}`,
    });
    return [];
  }
  if (bind !== undefined && !/^(localhost|127\.|\[?::1)/.test(bind)) {
    leftOut.push({ name: `${via}: LocalForward ${forward}`, reason: `it listens on ${bind}: say that with --bind` });
  }
  return [{ name, entry: { host, hostPort: Number(hostPort), via, port: Number(port) } }];
}

function userOf(options: Options): { readonly user?: string } {
  const user = first(options.User);
  return user === undefined ? {} : { user };
}

const optional = (key: string, value: string | undefined) => (value === undefined ? {} : { [key]: value });
const listed = (value: Options[string] | undefined) =>
  value === undefined ? [] : typeof value === 'string' ? [value] : value;
const first = (value: Options[string] | undefined): string | undefined => listed(value)[0];
