/** Somebody who may sign in to the lab's databases. The passwords are stated: they open nothing but the lab. */
export interface LabUser {
  readonly user: string;
  readonly password: string;
  /** Let in by a token of the cloud instead, where the database takes one. */
  readonly byToken?: true;
}

export const LAB_USERS: readonly LabUser[] = [
  { user: 'app_reader', password: 'lab-reader' },
  { user: 'app_iam', password: 'lab-iam', byToken: true },
  { user: 'admin', password: 'lab-admin' },
];

/** For the errors of a refused sign-in: what would have worked. */
export function describeUsers(users: readonly LabUser[]): string {
  return `the lab knows ${users
    .filter(({ byToken }) => !byToken)
    .map(({ user, password }) => `${user} with the password ${password}`)
    .join(' and ')}`;
}
