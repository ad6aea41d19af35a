import { isoTime } from '../../runtime/iso-time.ts';
import type { World } from '../../runtime/world.ts';
import { LateEvents } from '../core/late-events.ts';
import type { LabKey } from './principals.ts';

export interface TrailCall {
  readonly key: LabKey;
  readonly region: string;
  /** As in the credential scope: `ssm`. */
  readonly service: string;
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly userAgent: string | undefined;
  readonly requestId: string;
}

export interface TrailEvent {
  readonly id: string;
  readonly name: string;
  /** `ssm.amazonaws.com` */
  readonly source: string;
  readonly userName: string;
  readonly accessKeyId: string;
  readonly isReadOnly: boolean;
  readonly resources: readonly { readonly type: string; readonly name: string }[];
  /** The whole event, as CloudTrail writes it. */
  readonly document: object;
}

/** Never written down, as CloudTrail does not. */
const HIDDEN =
  /^(streamUrl|tokenValue|secretAccessKey|sessionToken|plaintext|ciphertextBlob|secretString|password|tokenCode|webIdentityToken)$/i;
const HIDDEN_TEXT = 'HIDDEN_DUE_TO_SECURITY_REASONS';

/** CloudTrail of the lab: the management events of every signed call. */
export class Trail {
  readonly events = new LateEvents<TrailEvent>();
  readonly #world: Pick<World, 'clock' | 'random'>;

  constructor(world: Pick<World, 'clock' | 'random'>) {
    this.#world = world;
  }

  succeeded(call: TrailCall, output: Readonly<Record<string, unknown>>): void {
    const isReadOnly = /^(Get|List|Describe|Lookup)/.test(call.operation);
    this.#add(call, { requestParameters: told(call.input), responseElements: isReadOnly ? null : told(output) });
  }

  failed(call: TrailCall, code: string, message: string): void {
    const isDenied = /^(AccessDenied|UnauthorizedOperation)/.test(code);
    this.#add(call, {
      errorCode: isDenied ? 'AccessDenied' : code,
      errorMessage: message,
      // What was asked for is left out where nobody was let in.
      requestParameters: isDenied ? null : told(call.input),
      responseElements: null,
    });
  }

  #add(call: TrailCall, rest: object): void {
    const at = this.#world.clock.wall();
    const { principal } = call.key;
    const isUser = principal.arn.includes(':user/');
    const isReadOnly = /^(Get|List|Describe|Lookup)/.test(call.operation);
    const id = this.#world.random.uuid();
    const source = `${call.service}.amazonaws.com`;
    const document = {
      eventVersion: '1.11',
      userIdentity: {
        type: isUser ? 'IAMUser' : 'AssumedRole',
        principalId: principal.userId,
        arn: principal.arn,
        accountId: principal.account,
        accessKeyId: call.key.accessKeyId,
        ...(isUser ? { userName: principal.name } : { sessionContext: sessionContext(call.key) }),
      },
      eventTime: isoTime(at).replace(/\.\d+Z$/, 'Z'),
      eventSource: source,
      eventName: call.operation,
      awsRegion: call.region,
      sourceIPAddress: '127.0.0.1',
      userAgent: call.userAgent ?? '',
      ...rest,
      requestID: call.requestId,
      eventID: id,
      readOnly: isReadOnly,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: principal.account,
      eventCategory: 'Management',
    };
    this.events.add(at, {
      id,
      name: call.operation,
      source,
      userName: principal.name,
      accessKeyId: call.key.accessKeyId,
      isReadOnly,
      resources: resourcesOf(call),
      document,
    });
  }
}

function sessionContext({ principal, mfa }: LabKey): object {
  const [, role = ''] = /assumed-role\/([^/]+)/.exec(principal.arn) ?? [];
  return {
    sessionIssuer: {
      type: 'Role',
      principalId: principal.userId.replace(/:.*$/, ''),
      arn: `arn:aws:iam::${principal.account}:role/${role}`,
      accountId: principal.account,
      userName: role,
    },
    attributes: { mfaAuthenticated: String(mfa === true) },
  };
}

function resourcesOf({ operation, input }: TrailCall): TrailEvent['resources'] {
  if (operation === 'StartSession') return [{ type: 'AWS::EC2::Instance', name: String(input.Target ?? '') }];
  return [];
}

/** Members as CloudTrail spells them, in lower camel case, without what must not be read. */
function told(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | null {
  const entries = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([name, one]) => [
      name.charAt(0).toLowerCase() + name.slice(1),
      HIDDEN.test(name) ? HIDDEN_TEXT : isRecord(one) && !isParameters(name) ? told(one) : one,
    ]);
  return entries.length === 0 ? null : Object.fromEntries(entries);
}

/** The names in there are the caller's own. */
const isParameters = (name: string): boolean => name === 'Parameters';

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
