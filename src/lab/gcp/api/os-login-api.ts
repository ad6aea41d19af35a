import { faults } from './google-fault.ts';
import type { GcpApiContext, GcpCall, GcpOperation } from './operation.ts';

const SERVICE = 'oslogin.googleapis.com';
const USER = '/oslogin/(?:v1|v1beta)/users/(?<user>[^/:]+)';

/** The part of the OS Login API (v1) that lets public keys in. Everybody reaches their own profile only. */
export function osLoginApi(context: GcpApiContext): readonly GcpOperation[] {
  const { inventory, osLogin } = context;
  const operation = (
    method: GcpOperation['method'],
    action: string,
    path: string,
    run: (call: GcpCall, user: string) => object,
  ): GcpOperation => ({
    method,
    path: new RegExp(`^${USER}${path}$`),
    action: `oslogin.users.${action}`,
    service: SERVICE,
    run: (call) => {
      const { user = '' } = call.path;
      const permission = `oslogin.users.${action}`;
      const isOwn = user === call.caller.email;
      if (!isOwn || !context.iam.may(user, permission, `users/${user}`)) {
        throw faults.denied(permission, `users/${user}`);
      }
      return run(call, user);
    },
  });
  const projectOf = (call: GcpCall): string | undefined => {
    const named = call.query.get('projectId');
    if (named === null) return undefined;
    const found = inventory().projects.find(({ id, number }) => id === named || number === named);
    if (found === undefined) throw faults.denied('compute.projects.get', `projects/${named}`);
    return found.id;
  };
  return [
    operation('GET', 'getLoginProfile', '/loginProfile', (call, user) => {
      projectOf(call);
      return osLogin.loginProfile(user);
    }),
    operation('POST', 'importSshPublicKey', ':importSshPublicKey', (call, user) => {
      const { key, expirationTimeUsec } = call.body ?? {};
      if (typeof key !== 'string') throw faults.invalid('The SSH public key is missing.');
      const problem = osLogin.import(user, projectOf(call), key.trim(), microseconds(expirationTimeUsec));
      if (problem !== undefined) throw faults.invalid(problem);
      return { loginProfile: osLogin.loginProfile(user) };
    }),
    operation('PATCH', 'sshPublicKeys.patch', '/sshPublicKeys/(?<fingerprint>[^/]+)', (call, user) => {
      const { fingerprint = '' } = call.path;
      if (call.query.get('updateMask') !== 'expirationTimeUsec') throw faults.invalid('Invalid update mask.');
      const changed = osLogin.extend(user, fingerprint, microseconds(call.body?.expirationTimeUsec));
      if (changed === undefined) throw faults.notFound(`users/${user}/sshPublicKeys/${fingerprint}`);
      return changed;
    }),
    operation('DELETE', 'sshPublicKeys.delete', '/sshPublicKeys/(?<fingerprint>[^/]+)', (call, user) => {
      osLogin.delete(user, call.path.fingerprint ?? '');
      return {};
    }),
  ];
}

/** int64 travels as text; a number is taken, too. */
function microseconds(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if ((typeof value === 'string' || typeof value === 'number') && /^\d{1,19}$/.test(String(value)))
    return String(value);
  throw faults.invalid("Invalid value at 'ssh_public_key.expiration_time_usec' (TYPE_INT64)");
}
