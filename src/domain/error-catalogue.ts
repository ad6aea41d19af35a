/** Each error code with what kind it is, the exit code of a command that ends with it, and whether trying again may help. */
export type ErrorKind =
  | 'usage'
  | 'config'
  | 'auth'
  | 'denied'
  | 'target'
  | 'local'
  | 'file'
  | 'network'
  | 'protocol'
  | 'lost'
  | 'timeout'
  | 'policy'
  | 'interrupted'
  | 'internal';

export interface ErrorEntry {
  readonly kind: ErrorKind;
  readonly exitCode: number;
  /** True when the same call may succeed later without a person doing anything. */
  readonly retryable: boolean;
  /** One or two sentences for docs/reference/errors.md: what it means and what to do. */
  readonly about: string;
}

const entry = (kind: ErrorKind, exitCode: number, retryable: boolean, about: string): ErrorEntry => ({
  kind,
  exitCode,
  retryable,
  about,
});

export const ERROR_CATALOGUE = {
  CT_INTERNAL: entry('internal', 1, false, 'A defect in cloudtun. Please report it with the output of `-v`.'),
  CT_USAGE: entry('usage', 2, false, 'A flag or argument is missing, unknown or malformed. `--help` shows examples.'),
  CT_CONFIG: entry(
    'config',
    2,
    false,
    'A setting cannot be used. For cloudtun.yaml the message has file, line and column; for a variable or profile, its name.',
  ),
  CT_NODE_TOO_OLD: entry('usage', 2, false, 'cloudtun needs a newer Node.js than the one that started it.'),
  CT_NO_REGION: entry('config', 2, false, 'No AWS region is known. Set one by flag, environment or profile.'),
  CT_NO_PROJECT: entry(
    'config',
    2,
    false,
    'No Google Cloud project is known. Set one by flag, environment or gcloud configuration.',
  ),
  CT_NO_PROFILE: entry('config', 2, false, 'The named AWS profile does not exist in the shared configuration files.'),
  CT_NO_CREDENTIALS: entry(
    'auth',
    3,
    false,
    'No source of the credential chain gave credentials. Sign in, or name a profile.',
  ),
  CT_CREDENTIALS_EXPIRED: entry(
    'auth',
    3,
    false,
    'The credentials were valid once and are not any more. Sign in again.',
  ),
  CT_CREDENTIALS_INVALID: entry(
    'auth',
    3,
    false,
    'The cloud does not know these credentials, or their signature is wrong.',
  ),
  CT_LOGIN_FAILED: entry('auth', 3, false, 'The sign-in was refused, abandoned, or ran out of time.'),
  CT_DENIED: entry(
    'denied',
    4,
    false,
    'The cloud refused the call for this identity. The message names the missing action.',
  ),
  CT_API_DISABLED: entry(
    'denied',
    4,
    false,
    'An API of the cloud that is needed is not enabled in the project. The message has the command that enables it.',
  ),
  CT_LOGIN_REFUSED: entry(
    'denied',
    4,
    false,
    'The SSH server of the machine refused the login. The message has the user and what was tried.',
  ),
  CT_FORWARD_PROHIBITED: entry(
    'denied',
    4,
    false,
    'The SSH server of the machine does not allow this forwarding, or this kind of session.',
  ),
  CT_TARGET_NOT_FOUND: entry(
    'target',
    5,
    false,
    'Nothing has this name in the account, region and catalogue that were searched.',
  ),
  CT_TARGET_AMBIGUOUS: entry('target', 5, false, 'More than one thing has this name. Use an id, or a cloud prefix.'),
  CT_DOCUMENT_INVALID: entry(
    'target',
    5,
    false,
    'The Session document does not exist, or does not fit what was asked of it.',
  ),
  CT_TARGET_OFFLINE: entry('target', 6, true, 'The machine exists, but its agent is not connected to Session Manager.'),
  CT_TARGET_STOPPED: entry('target', 6, false, 'The machine or database is stopped or not available.'),
  CT_NO_BASTION: entry(
    'target',
    6,
    false,
    'No managed node that is online can reach the database. The message says why, node by node.',
  ),
  CT_AGENT_TOO_OLD: entry('target', 6, false, 'The agent on the machine is too old for what was asked.'),
  CT_REMOTE_REFUSED: entry(
    'target',
    6,
    true,
    'The far machine could not connect to the port: refused, filtered, or nobody listens.',
  ),
  CT_REMOTE_PORT_BUSY: entry(
    'target',
    6,
    true,
    'The port of the far machine that was to be listened on is taken there.',
  ),
  CT_REMOTE_FORBIDDEN: entry('target', 6, false, 'The agent refuses to forward to this address.'),
  CT_DESTINATION_LIMIT: entry(
    'target',
    6,
    true,
    'As many destinations are in use at the same time as sessions are opened for. Close connections to one of them, then try again.',
  ),
  CT_REMOTE_SILENT: entry('target', 6, true, 'The far side accepted nothing and answered nothing in the time allowed.'),
  CT_REMOTE_UNEXPECTED: entry(
    'target',
    6,
    false,
    'Something answers on the port, but not in the protocol of the engine that should be there.',
  ),
  CT_DATABASE_REFUSED: entry(
    'target',
    6,
    true,
    'The database server answered with an error before any sign-in, such as too many connections or a blocked host.',
  ),
  CT_LAB_NOT_RUNNING: entry('target', 6, false, 'The embedded lab is not running. Start it with `cloudtun lab up`.'),
  CT_LAB_FAILED: entry('target', 6, false, 'The embedded lab could not start.'),
  CT_SUPERVISOR: entry(
    'local',
    7,
    false,
    'The supervisor that holds tunnels in the background cannot be started, reached or used from here.',
  ),
  CT_NOT_HELD: entry('target', 5, false, 'No tunnel of this name is held. `cloudtun ps` shows those that are.'),
  CT_HELD_OTHERWISE: entry(
    'usage',
    2,
    false,
    'A tunnel of this name is held with other settings. Close it first, then bring it up as it is wanted now.',
  ),
  CT_READY_FILE: entry(
    'local',
    7,
    false,
    'The ready file cannot be used: it belongs to somebody else, its directory is missing, or the disk is full.',
  ),
  CT_PORT_BUSY: entry(
    'local',
    7,
    false,
    'Another process holds the local port. The message names it where the system tells.',
  ),
  CT_BIND: entry('local', 7, false, 'The local address cannot be bound.'),
  CT_LOCAL_SERVICE: entry(
    'local',
    7,
    true,
    'The service on this side that the far side was to reach does not answer: refused, filtered, or nobody listens.',
  ),
  CT_JOURNAL: entry(
    'local',
    7,
    false,
    'The journal cannot be written, so nothing was opened or run. Only `policy.journal: warn` lets it be.',
  ),
  CT_STATE: entry('local', 7, false, 'A state file cannot be read or written.'),
  CT_OUTPUT: entry('local', 7, false, 'Standard output cannot be written: a full disk, for example.'),
  CT_COMMAND_NOT_FOUND: entry('usage', 127, false, 'The command that `exec` was to run does not exist.'),
  CT_COMMAND_NOT_EXECUTABLE: entry('usage', 126, false, 'The command that `exec` was to run cannot be executed.'),
  CT_NETWORK: entry('network', 8, true, 'A connection to the cloud failed or broke.'),
  CT_PROXY: entry('network', 8, false, 'The proxy refused or broke the connection.'),
  CT_TLS: entry('network', 8, false, 'A certificate was not trusted. Name the CA bundle of your network.'),
  CT_THROTTLED: entry('network', 8, true, 'The cloud asked to slow down, and went on asking.'),
  CT_SERVICE: entry('network', 8, true, 'The cloud answered with an error of its own.'),
  CT_UPGRADE_REFUSED: entry('network', 8, true, 'The websocket was refused. The message has the HTTP status.'),
  CT_STREAM_HOST: entry('protocol', 8, false, 'The API named a stream host that is not a Session Manager host.'),
  CT_PROTO_FRAME: entry('protocol', 8, false, 'The peer sent a malformed message. The tunnel was ended.'),
  CT_PROTO_DIGEST: entry('protocol', 8, false, 'A message did not match its digest. The tunnel was ended.'),
  CT_PROTO_HANDSHAKE: entry(
    'protocol',
    8,
    false,
    'The session handshake was malformed or asked for something unknown.',
  ),
  CT_PROTO_MUX: entry('protocol', 8, false, 'The multiplexing layer of the peer is broken. The tunnel was ended.'),
  CT_PROTO_FLOOD: entry(
    'protocol',
    8,
    false,
    'The peer sent more than the stated bound of a buffer. The tunnel was ended.',
  ),
  CT_PROTO_SSH: entry(
    'protocol',
    8,
    true,
    'The SSH handshake failed: the server closed it, offered nothing in common, or sent something malformed.',
  ),
  CT_HOST_KEY_CHANGED: entry(
    'protocol',
    8,
    false,
    'The machine shows another SSH host key than the one that is known or published. Nothing was sent to it.',
  ),
  CT_NO_SFTP: entry(
    'target',
    6,
    false,
    'The SSH server of the machine serves no SFTP, or a login script writes into it. Files cannot be copied this way.',
  ),
  CT_FILE_MISSING: entry('file', 1, false, 'A file or folder to copy, or the folder to copy it to, is not there.'),
  CT_FILE_DENIED: entry(
    'file',
    1,
    false,
    'This user may not read the file or write in its place; on the far side that is the user of the login.',
  ),
  CT_FILE_FULL: entry('file', 1, false, 'The disk or the quota is full. Nothing of the file was left there.'),
  CT_FILE_KIND: entry(
    'file',
    1,
    false,
    'A folder is where a file is wanted, or the other way round, or it is neither of them.',
  ),
  CT_FILE_NAME: entry(
    'file',
    1,
    false,
    'A name that a listing gave, or a name for a new file, is none that a file can have here. Nothing was made of it.',
  ),
  CT_FILE_CHANGED: entry(
    'file',
    1,
    true,
    'The file was changed while it was copied, or it arrived as another than it was. What had arrived was removed.',
  ),
  CT_FILE_FAILED: entry('file', 1, false, 'The file cannot be read or written, for a reason that was not told.'),
  CT_COPY_INCOMPLETE: entry(
    'file',
    1,
    false,
    'Some of the files could not be copied; each was told with its own code. The others are there.',
  ),
  CT_TUNNEL_LOST: entry('lost', 9, true, 'The tunnel was ready once and could not be kept.'),
  CT_SESSION_ENDED: entry('lost', 9, true, 'The cloud ended the session. The message has the reason it gave.'),
  CT_STREAM_STALLED: entry(
    'lost',
    9,
    true,
    'A local reader did not read and held up its siblings; its connection was reset.',
  ),
  CT_TIMEOUT: entry('timeout', 10, true, 'Something did not answer in time.'),
  CT_INTERRUPTED: entry('interrupted', 130, false, 'It was stopped by a signal or by its caller before it was done.'),
  CT_MAX_BYTES: entry(
    'policy',
    11,
    false,
    'As many bytes went through as may (--max-bytes); what was open was drained.',
  ),
  CT_POLICY_CHANGED: entry(
    'target',
    6,
    true,
    'Permissions in the cloud are not what they were when they were looked at: somebody else changed them. Plan again and look.',
  ),
  CT_POLICY_CONFLICT: entry(
    'config',
    2,
    false,
    'Something in the cloud has a name that permissions of this catalogue have, and was not made for it. It is left alone: rename one of them.',
  ),
  CT_POLICY_REFUSED: entry(
    'target',
    6,
    false,
    'The cloud does not take these permissions: too large, too many, or not allowed there. The message has its words.',
  ),
  CT_POLICY: entry('policy', 11, false, 'The local policy or an allow-list forbids it.'),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** The page of a code in the reference. */
export function errorPage(code: ErrorCode): string {
  return `docs/reference/errors.md#${code.toLowerCase()}`;
}
