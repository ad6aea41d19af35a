import type { Principal } from '../domain/grant.ts';

type NameRule = { readonly isFine: (name: string) => boolean; readonly text: string };

const isAddress = (name: string) => /^[^@\s]+@[^@\s]+\.[^@\s]+$/.test(name);

/**
 * What names of people and groups look like in the clouds (IAM user guide, "reference_iam-quotas": names of users and role sessions;
 * Google Cloud, "iam/docs/principal-identifiers"). A cloud without rules here takes every name.
 */
const RULES: Readonly<Record<string, Readonly<Record<string, NameRule>>>> = {
  aws: {
    user: {
      isFine: (name) => !isAddress(name),
      text: 'looks like an address, and IAM users are named without one mostly: take it from aws iam list-users',
    },
    member: {
      isFine: (name) => /^[A-Za-z0-9_+=,.@-]{2,64}$/.test(name),
      text: 'cannot be the name of a role session of AWS (2 to 64 of letters, digits and _+=,.@-), so its sessions will not carry it',
    },
  },
  gcp: {
    user: { isFine: isAddress, text: 'is no address, and Google Cloud knows people by their address' },
    group: { isFine: isAddress, text: 'is no address, and Google Cloud knows groups by their address' },
    member: { isFine: isAddress, text: 'is no address, and Google Cloud knows people by their address' },
  },
};

/** Why a cloud cannot mean anybody by this name, in words that follow a name; undefined where it can. @param kind or `member` */
export function nameProblem({ cloud, kind, name }: Principal): string | undefined {
  const rule = RULES[cloud]?.[kind];
  return rule === undefined || rule.isFine(name) ? undefined : `${name} ${rule.text}`;
}
