/**
 * Conditions of Google Cloud IAM (the CEL of "iam/docs/conditions-overview" and "…/conditions-attribute-reference") for one request.
 * The language is a library's (docs/adr/0022-evaluating-permissions.md); which attributes and functions IAM has is said here. Macros, regular
 * expressions and whatever else IAM does not take are refused before anything runs: so the work is bounded by the expression's length.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { isInRange } from './ip-range.ts';

/** What is known about a request. What is absent is not known, which makes the conditions that need it unknown. */
export interface CelAttributes {
  readonly destinationPort?: number;
  /** Of an instance or host that was resolved. */
  readonly destinationIp?: string;
  /** Milliseconds since 1970. */
  readonly time?: number;
  /** `accessPolicies/P/accessLevels/L` */
  readonly accessLevels?: readonly string[];
  readonly resourceName?: string;
  /** `iap.googleapis.com/TunnelInstance` */
  readonly resourceType?: string;
  /** `iap.googleapis.com` */
  readonly resourceService?: string;
  /** `PROJECT/key` → value, tags that it inherits included. */
  readonly resourceTags?: Readonly<Record<string, string>>;
}

export interface CelOutcome {
  readonly holds: 'yes' | 'no' | 'unknown';
  /** For people, no full stop. */
  readonly reason: string;
}

/** Google's own limit is twelve logical operators; this leaves room for what people paste. */
const MAX_LENGTH = 4_096;
const LIMITS = { maxAstNodes: 600, maxDepth: 40, maxListElements: 100, maxMapEntries: 1, maxCallArguments: 4 };

class Destination {
  readonly port?: bigint;
  readonly ip?: string;

  constructor({ destinationPort, destinationIp }: CelAttributes) {
    if (destinationPort !== undefined) this.port = BigInt(destinationPort);
    if (destinationIp !== undefined) this.ip = destinationIp;
  }
}

class Auth {
  readonly access_levels?: string[];

  constructor({ accessLevels }: CelAttributes) {
    if (accessLevels !== undefined) this.access_levels = [...accessLevels];
  }
}

class RequestAttributes {
  readonly time?: Date;
  readonly auth: Auth;

  constructor(attributes: CelAttributes) {
    if (attributes.time !== undefined) this.time = new Date(attributes.time);
    this.auth = new Auth(attributes);
  }
}

/** Thrown by a function that lacks what it needs. */
class NotKnown extends Error {}

class Resource {
  readonly name?: string;
  readonly type?: string;
  readonly service?: string;
  readonly #tags: Readonly<Record<string, string>> | undefined;

  constructor({ resourceName, resourceType, resourceService, resourceTags }: CelAttributes) {
    if (resourceName !== undefined) this.name = resourceName;
    if (resourceType !== undefined) this.type = resourceType;
    if (resourceService !== undefined) this.service = resourceService;
    this.#tags = resourceTags;
  }

  tag(key: string): string | undefined {
    if (this.#tags === undefined) throw new NotKnown('the tags of the resource are not known');
    return Object.hasOwn(this.#tags, key) ? this.#tags[key] : undefined;
  }
}

const ENVIRONMENT = new Environment({ limits: LIMITS })
  .registerType('Destination', { ctor: Destination, fields: { port: 'int', ip: 'string' } })
  .registerType('Auth', { ctor: Auth, fields: { access_levels: 'list<string>' } })
  .registerType('Request', { ctor: RequestAttributes, fields: { time: 'google.protobuf.Timestamp', auth: 'Auth' } })
  .registerType('Resource', { ctor: Resource, fields: { name: 'string', type: 'string', service: 'string' } })
  .registerVariable('destination', 'Destination')
  .registerVariable('request', 'Request')
  .registerVariable('resource', 'Resource')
  .registerFunction('string.extract(string): string', extract)
  .registerFunction('inIpRange(string, string): bool', (ip: string, range: string) => isInRange(range, ip) ?? false)
  .registerFunction(
    'Resource.matchTag(string, string): bool',
    (resource: Resource, key: string, value: string) => resource.tag(key) === value,
  )
  .registerFunction(
    'Resource.hasTagKey(string): bool',
    (resource: Resource, key: string) => resource.tag(key) !== undefined,
  );

/** What IAM has of CEL: calls of other names are refused, among them every macro and `matches`. */
const FUNCTIONS: readonly string[] = [
  'timestamp',
  'duration',
  'int',
  'string',
  'startsWith',
  'endsWith',
  'contains',
  'extract',
  'inIpRange',
  'matchTag',
  'hasTagKey',
  ...['FullYear', 'Month', 'Date', 'DayOfMonth', 'DayOfWeek', 'DayOfYear', 'Hours', 'Minutes', 'Seconds'].map(
    (part) => `get${part}`,
  ),
];

/** What is wrong with an expression, before it meets a request; undefined: nothing. For people, no full stop. */
export function checkCel(expression: string): string | undefined {
  if (expression.length > MAX_LENGTH) return `it is longer than ${MAX_LENGTH} characters`;
  try {
    const parsed = ENVIRONMENT.parse(expression);
    const foreign = foreignCall(parsed.ast);
    if (foreign !== undefined) return `IAM conditions have no ${foreign}`;
    const checked = parsed.check();
    if (!checked.valid) return `it is not valid: ${firstLine(checked.error)}`;
    return checked.type === 'bool' ? undefined : `it gives ${checked.type}, not a yes or no`;
  } catch (error) {
    return `it cannot be judged: ${firstLine(error)}`;
  }
}

/** Judges one expression. */
export function evaluateCel(expression: string, attributes: CelAttributes): CelOutcome {
  const problem = checkCel(expression);
  if (problem !== undefined) return { holds: 'unknown', reason: problem };
  try {
    const value: unknown = ENVIRONMENT.parse(expression)({
      destination: new Destination(attributes),
      request: new RequestAttributes(attributes),
      resource: new Resource(attributes),
    });
    if (typeof value !== 'boolean') return { holds: 'unknown', reason: 'it gives no yes or no' };
    return { holds: value ? 'yes' : 'no', reason: `${expression} is ${value}` };
  } catch (error) {
    return { holds: 'unknown', reason: `it cannot be judged: ${firstLine(error)}` };
  }
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

/** The first call of something that IAM conditions do not have. */
function foreignCall(node: ASTNode): string | undefined {
  const queue: unknown[] = [node];
  for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
    if (Array.isArray(one)) {
      queue.push(...one.filter((part) => typeof part === 'object' && part !== null));
      continue;
    }
    const { op, args } = one as { readonly op?: string; readonly args?: unknown };
    if (op === 'call' || op === 'rcall') {
      const name = String((args as readonly unknown[])[0]);
      if (!FUNCTIONS.includes(name)) return `${name}()`;
    }
    if (op === 'map' || op === '[]' || op === '.?' || op === '[?]') return `${op} expressions`;
    if (typeof args === 'object' && args !== null) queue.push(args);
  }
  return undefined;
}

/** IAM's `extract`: what stands for `{name}` in the template, up to the text behind it; empty when it does not fit. */
function extract(text: string, template: string): string {
  const [, before = '', after = ''] = /^(.*)\{[A-Za-z_]\w*\}(.*)$/s.exec(template) ?? [];
  if (!template.includes('{')) return '';
  const from = text.indexOf(before);
  if (from === -1) return '';
  const rest = text.slice(from + before.length);
  if (after === '') return rest;
  const end = rest.indexOf(after);
  return end === -1 ? '' : rest.slice(0, end);
}
