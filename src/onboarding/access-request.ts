import type { Catalogue } from '../config/catalogue.ts';
import type { GrantVerb } from '../domain/grant.ts';
import type { Identity } from '../providers/provider.ts';

/** Something that somebody does not have. */
export interface MissingAccess {
  readonly verb: GrantVerb;
  /** The target or log. */
  readonly name: string;
  /** What the cloud said: `ssm:StartSession on document/cloudtun-prod`. */
  readonly missing?: string;
}

/**
 * A text to send to whoever gives access: who asks, for what, what the clouds said, and the lines of the catalogue that would give it.
 * Plain text that can be pasted anywhere.
 *
 * @param teams that the person is in already; the first one is proposed
 */
export function accessRequest(
  { contact, teams: all }: Pick<Catalogue, 'contact' | 'teams'>,
  identities: readonly Identity[],
  missing: readonly MissingAccess[],
  teams: readonly string[],
): readonly string[] {
  const who = identities[0]?.name ?? 'I';
  const listed = missing.map(({ verb, name }) => (verb === 'connect' ? name : `${verb} ${name}`)).join(', ');
  const isListed = (team: string) => missing.every(({ verb, name }) => all.get(team)?.may?.[verb]?.includes(name));
  const known = teams.find(isListed);
  const other = [...all.keys()].find(isListed);
  return [
    `to: ${contact ?? 'whoever keeps cloudtun.yaml'}`,
    `${who} needs ${listed}.`,
    ...identities.map(({ id, source }) => `identity: ${id} (${source})`),
    ...missing.flatMap(({ name, missing: what }) => (what === undefined ? [] : [`${name}: missing ${what}`])),
    ...(known !== undefined
      ? [
          `cloudtun.yaml gives it already (team ${known}): please run cloudtun team apply, and see that ${who} has its role or group`,
        ]
      : other !== undefined
        ? [`cloudtun.yaml, teams.${other}.members: add ${who}, then cloudtun team apply`]
        : [`cloudtun.yaml, teams.NAME.may: add ${listed}, then cloudtun team apply`]),
  ];
}
