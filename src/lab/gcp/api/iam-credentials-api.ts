import { isoTime } from '../../../runtime/iso-time.ts';
import { faults } from './google-fault.ts';
import type { GcpApiContext, GcpOperation } from './operation.ts';

const PATH = /^\/iamcredentials\/v1\/projects\/-\/serviceAccounts\/(?<account>[^/:]+):generateAccessToken$/;

/** Acting as a service account (IAM Service Account Credentials API, v1), directly or along a chain of delegates. */
export function iamCredentialsApi(context: GcpApiContext): readonly GcpOperation[] {
  const { inventory, tokens } = context;
  const mayActAs = (email: string, account: string) =>
    inventory()
      .people.find((one) => one.email === email)
      ?.impersonates.includes(account) ?? false;
  return [
    {
      method: 'POST',
      path: PATH,
      action: 'iamcredentials.generateAccessToken',
      service: 'iamcredentials.googleapis.com',
      run: ({ path: { account = '' }, body, caller }) => {
        const scopes = strings(body?.scope);
        if (scopes.length === 0) throw faults.invalid('Request contains an invalid argument: scope is empty.');
        const chain = [...strings(body?.delegates).map(accountOf), account];
        let actor = caller.email;
        for (const next of chain) {
          if (!mayActAs(actor, next)) {
            throw faults.denied('iam.serviceAccounts.getAccessToken', `projects/-/serviceAccounts/${next}`);
          }
          actor = next;
        }
        const grant = tokens.issue(account, scopes, lifetimeOf(body?.lifetime));
        return { accessToken: grant.token, expireTime: isoTime(grant.expiresAt).replace(/\.\d+Z$/, 'Z') };
      },
    },
  ];
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

/** `projects/-/serviceAccounts/EMAIL` */
const accountOf = (delegate: string): string => delegate.split('/').at(-1) ?? '';

/** `3600s`, which is also the most without an exception. */
function lifetimeOf(value: unknown): number {
  if (value === undefined) return 3_600_000;
  const [, seconds] = /^(\d+)(?:\.\d+)?s$/.exec(String(value)) ?? [];
  if (seconds === undefined || Number(seconds) < 1 || Number(seconds) > 3_600) {
    throw faults.invalid(`Request contains an invalid argument: lifetime "${String(value)}".`);
  }
  return Number(seconds) * 1_000;
}
