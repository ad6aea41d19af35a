import { isIP } from 'node:net';
import { CloudtunError } from '../../domain/errors.ts';

/** A TARGET of spec section 3, as far as its spelling tells what it is. */
export type MachineName =
  | { readonly by: 'id'; readonly id: string }
  | { readonly by: 'tag'; readonly key: string; readonly value: string }
  | { readonly by: 'asg'; readonly group: string }
  | { readonly by: 'ip'; readonly ip: string }
  /** A private DNS name, or a Name tag with dots in it. */
  | { readonly by: 'dns'; readonly name: string }
  | { readonly by: 'name'; readonly name: string };

/** Prefixes that belong to other commands, clouds or later versions; a Name tag that starts so must be given by id. */
const FOREIGN: Readonly<Record<string, string>> = {
  ecs: 'containers are no targets yet; name the machine they run on',
  elasticache:
    'caches are no targets yet; name a machine that reaches them: cloudtun forward TARGET -L port:host:hostport',
  gcp: 'this version knows AWS only',
  sql: 'this version knows AWS only',
};

const withoutCloud = (text: string) => text.trim().replace(/^aws:/, '');

function refuseForeign(text: string): void {
  const prefix = /^([a-z]+):/.exec(text)?.[1];
  const reason = prefix === undefined ? undefined : FOREIGN[prefix];
  if (reason !== undefined) throw new CloudtunError('CT_USAGE', `cannot use the target "${text}"`, { hint: reason });
}

/** @throws CT_USAGE for what can be no machine */
export function parseMachineName(text: string): MachineName {
  const name = withoutCloud(text);
  if (name === '')
    throw new CloudtunError('CT_USAGE', 'the name of the target is empty', { hint: 'see all: cloudtun targets' });
  refuseForeign(name);
  if (name.startsWith('rds:')) {
    throw new CloudtunError('CT_USAGE', `"${name}" is a database, not a machine`, {
      hint: `cloudtun rds ${name.slice(4)}`,
    });
  }
  if (/^m?i-([0-9a-f]{8}|[0-9a-f]{17})$/.test(name)) return { by: 'id', id: name };
  if (name.startsWith('asg:')) return { by: 'asg', group: name.slice(4) };
  if (name.startsWith('tag:')) {
    const [, key, value] = /^tag:([^=]+)=(.*)$/s.exec(name) ?? [];
    if (key === undefined || value === undefined) {
      throw new CloudtunError('CT_USAGE', `"${name}" is no tag`, {
        hint: 'write tag:Key=Value, such as tag:role=bastion',
      });
    }
    return { by: 'tag', key, value };
  }
  const address = name.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0) return { by: 'ip', ip: address };
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+\.?$/i.test(name)) return { by: 'dns', name };
  return { by: 'name', name };
}

/** What to look for among databases: an identifier, an endpoint or a Name tag. @throws CT_USAGE */
export function parseDatabaseName(text: string): string {
  const name = withoutCloud(text).replace(/^rds:/, '');
  if (name === '') {
    throw new CloudtunError('CT_USAGE', 'the name of the database is empty', {
      hint: 'see all: cloudtun targets --kind database',
    });
  }
  refuseForeign(name);
  return name;
}
