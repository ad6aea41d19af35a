import { CloudtunError } from '../../domain/errors.ts';

/** What the variables of a name begin with: `orders-db` has `CLOUDTUN_ORDERS_DB_HOST`. */
export function variablePrefix(name: string): string {
  return `CLOUDTUN_${name.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`;
}

/** @throws CT_USAGE when two names would have the same variables */
export function checkPrefixes(names: readonly string[]): void {
  const taken = new Map<string, string>();
  for (const name of names) {
    const prefix = variablePrefix(name);
    const other = taken.get(prefix);
    if (other !== undefined) {
      throw new CloudtunError('CT_USAGE', `"${other}" and "${name}" would have the same variables, ${prefix}_HOST …`, {
        hint: 'give one of them another name in cloudtun.yaml',
      });
    }
    taken.set(prefix, name);
  }
}
