import type { CatalogueTarget } from '../config/catalogue.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { ProviderId } from '../domain/target.ts';

/** What to type instead for a database: what it is reached through may do. */
export function throughIt(command: string, { via }: CatalogueTarget): string | undefined {
  return via?.[0] === undefined ? undefined : `cloudtun ${command} ${via[0].text}`;
}

export function inAnotherCloud(name: string, its: ProviderId, ours: ProviderId): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${name}" is in ${its}, and the database in ${ours}`);
}

export function notA(kind: string, entry: CatalogueTarget, command: string | undefined): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${entry.name}" of ${entry.place.file} is no ${kind}`, {
    details: [['there', `${entry.place.file}:${entry.place.line}:${entry.place.column}`]],
    ...(command !== undefined && { hint: `try: ${command}` }),
  });
}

export function namesItsOwnEnd(entry: CatalogueTarget): CloudtunError {
  return new CloudtunError('CT_USAGE', `"${entry.name}" of ${entry.place.file} names its own far end`, {
    hint: `leave the rules out: cloudtun forward ${entry.name}`,
  });
}
