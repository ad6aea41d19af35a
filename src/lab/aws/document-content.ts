import { AwsFault } from './api/aws-fault.ts';
import type { LabDocument, LabDocumentParameter, LabProperty } from './documents.ts';

/** What a version of a session document says. */
export type DocumentContent = Pick<LabDocument, 'description' | 'sessionType' | 'parameters' | 'properties' | 'inputs'>;

const SESSION_TYPES: readonly LabDocument['sessionType'][] = [
  'Standard_Stream',
  'Port',
  'InteractiveCommands',
  'NonInteractiveCommands',
];
const MEMBERS = ['schemaVersion', 'description', 'sessionType', 'inputs', 'parameters', 'properties'];
/** What a command is written for. */
const SYSTEMS = ['linux', 'macOS', 'windows'];
/** Of a document's content (Systems Manager quotas). */
const SIZE_LIMIT = 65_536;

/**
 * Reads the content of a session document (Session Manager guide, "session-manager-schema").
 *
 * @throws AwsFault InvalidDocumentContent, MaxDocumentSizeExceeded
 */
export function readDocumentContent(text: string): DocumentContent {
  if (text.length > SIZE_LIMIT) throw new AwsFault('MaxDocumentSizeExceeded', 400, 'The document is too large.');
  const content = asObject(parse(text), 'the document');
  const unknown = Object.keys(content).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) throw invalid(`unknown member ${unknown}`);
  if (content.schemaVersion !== '1.0') throw invalid('schemaVersion of a session document must be 1.0');
  const sessionType = SESSION_TYPES.find((one) => one === content.sessionType);
  if (sessionType === undefined) throw invalid(`sessionType must be one of ${SESSION_TYPES.join(', ')}`);
  const parameters = Object.fromEntries(
    Object.entries(asObject(content.parameters ?? {}, 'parameters')).map(([name, one]) => [
      name,
      readParameter(name, one),
    ]),
  );
  const properties = Object.fromEntries(
    Object.entries(asObject(content.properties ?? {}, 'properties')).map(([name, one]) => [
      name,
      readProperty(name, one, parameters),
    ]),
  );
  const description = content.description ?? '';
  if (typeof description !== 'string') throw invalid('description must be text');
  const inputs = content.inputs === undefined ? {} : { inputs: asObject(content.inputs, 'inputs') };
  return { description, sessionType, parameters, properties, ...inputs };
}

/** What stands under `linux`, `macOS` or `windows` is one level deeper. */
function readProperty(name: string, value: unknown, parameters: Readonly<Record<string, unknown>>): LabProperty {
  if (SYSTEMS.includes(name)) {
    return Object.fromEntries(
      Object.entries(asObject(value, `property ${name}`)).map(([member, one]) => [
        member,
        readText(`${name}.${member}`, one, parameters),
      ]),
    );
  }
  return readText(name, value, parameters);
}

function readText(name: string, value: unknown, parameters: Readonly<Record<string, unknown>>): string | boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') throw invalid(`property ${name} must be text`);
  for (const [, used = ''] of value.matchAll(/\{\{\s*(\w+)\s*\}\}/g)) {
    if (!Object.hasOwn(parameters, used))
      throw invalid(`property ${name} uses the parameter ${used}, which is not declared`);
  }
  return value;
}

function readParameter(name: string, value: unknown): LabDocumentParameter {
  const { type, description = '', default: fallback, allowedPattern } = asObject(value, `parameter ${name}`);
  if (type !== 'String') throw invalid(`parameter ${name} must be of type String`);
  if (typeof description !== 'string') throw invalid(`description of parameter ${name} must be text`);
  if (fallback !== undefined && typeof fallback !== 'string')
    throw invalid(`default of parameter ${name} must be text`);
  if (allowedPattern !== undefined && typeof allowedPattern !== 'string')
    throw invalid(`allowedPattern of ${name} must be text`);
  if (allowedPattern !== undefined) checkPattern(name, allowedPattern, fallback);
  return {
    description,
    ...(fallback === undefined ? {} : { default: fallback }),
    ...(allowedPattern === undefined ? {} : { allowedPattern }),
  };
}

function checkPattern(name: string, pattern: string, fallback: string | undefined): void {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch {
    throw invalid(`allowedPattern of parameter ${name} is no regular expression`);
  }
  if (fallback !== undefined && !expression.test(fallback)) {
    throw invalid(`the default of parameter ${name} does not match its allowedPattern`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('the content is not JSON');
  }
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(`${what} must be an object`);
}

const invalid = (message: string): AwsFault => new AwsFault('InvalidDocumentContent', 400, message);
