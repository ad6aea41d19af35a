import { AwsFault } from './api/aws-fault.ts';
import type { DocumentContent } from './document-content.ts';

/** `{{ parameter }}` may stand in every text. Of a command, what stands under the name of a system is for machines of that system. */
export type LabProperty = string | boolean | { readonly [member: string]: string | boolean };

/** A session document (docs/protocol/ssm.md, "Documents"). Properties may hold `{{ parameter }}`. */
export interface LabDocument {
  readonly name: string;
  readonly description: string;
  readonly owner: 'Amazon' | 'self';
  readonly sessionType: 'Standard_Stream' | 'Port' | 'InteractiveCommands' | 'NonInteractiveCommands';
  readonly parameters: Readonly<Record<string, LabDocumentParameter>>;
  readonly properties: Readonly<Record<string, LabProperty>>;
  /** Of a shell: logging, encryption, limits. The lab shows them and follows none. */
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly tags?: Readonly<Record<string, string>>;
  /** Every version, oldest first; absent: this is the only one. What stands above is the default version. */
  readonly versions?: readonly {
    readonly version: string;
    /** As whoever wrote it called it. */
    readonly name?: string | undefined;
    readonly content: DocumentContent;
  }[];
  /** Default: 1. */
  readonly defaultVersion?: string;
}

export interface LabDocumentParameter {
  readonly description: string;
  /** Absent: the parameter must be given. */
  readonly default?: string;
  readonly allowedPattern?: string;
}

/** `0`, or 1–65535 without leading zeros. */
const PORT_PATTERN = '^(0|[1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$';
const HOST_PATTERN = '^[^,$^&\\(\\)!;\'"<>`{}\\[\\]|#=]{3,}$';

/** The document that StartSession uses when none is named. */
export const SHELL_DOCUMENT = 'SSM-SessionManagerRunShell';

const port = (description: string, fallback: string): LabDocumentParameter => ({
  description,
  default: fallback,
  allowedPattern: PORT_PATTERN,
});
const PORT = port('Port number of the server on the instance', '80');
const LOCAL_PORT = port('Port number on the local machine to forward traffic to', '0');
const COMMAND: LabDocumentParameter = { description: 'The command to run' };

/** What every account has, as far as the lab plays it. */
export const AWS_DOCUMENTS: readonly LabDocument[] = [
  {
    name: SHELL_DOCUMENT,
    description: 'Document to hold regional settings for Session Manager',
    owner: 'self',
    sessionType: 'Standard_Stream',
    parameters: {},
    properties: {},
  },
  {
    name: 'AWS-StartPortForwardingSession',
    description: 'Document to start port forwarding session over Session Manager',
    owner: 'Amazon',
    sessionType: 'Port',
    parameters: { portNumber: PORT, localPortNumber: LOCAL_PORT },
    properties: {
      portNumber: '{{ portNumber }}',
      type: 'LocalPortForwarding',
      localPortNumber: '{{ localPortNumber }}',
    },
  },
  {
    name: 'AWS-StartPortForwardingSessionToRemoteHost',
    description: 'Document to start port forwarding session over Session Manager to remote host',
    owner: 'Amazon',
    sessionType: 'Port',
    parameters: {
      portNumber: PORT,
      localPortNumber: LOCAL_PORT,
      host: { description: 'Hostname or IP address of the destination server', allowedPattern: HOST_PATTERN },
    },
    properties: {
      portNumber: '{{ portNumber }}',
      type: 'LocalPortForwarding',
      localPortNumber: '{{ localPortNumber }}',
      host: '{{ host }}',
    },
  },
  {
    // Its parameter names are not published; these follow the properties that the official client reads.
    name: 'AWS-StartPortForwardingSessionToSocket',
    description: 'Document to start port forwarding session over Session Manager to local socket',
    owner: 'Amazon',
    sessionType: 'Port',
    parameters: { portNumber: PORT, localUnixSocket: { description: 'Path of the local socket' } },
    properties: {
      portNumber: '{{ portNumber }}',
      type: 'LocalPortForwarding',
      localConnectionType: 'unix',
      localUnixSocket: '{{ localUnixSocket }}',
    },
  },
  {
    name: 'AWS-StartSSHSession',
    description: 'Document to start SSH session over Session Manager',
    owner: 'Amazon',
    sessionType: 'Port',
    parameters: { portNumber: port('Port number of SSH server on the instance', '22') },
    properties: { portNumber: '{{ portNumber }}' },
  },
  {
    name: 'AWS-StartInteractiveCommand',
    description: 'Document to run single interactive command on an instance',
    owner: 'Amazon',
    sessionType: 'InteractiveCommands',
    parameters: { command: COMMAND },
    properties: { commands: '{{ command }}', runAsElevated: 'false' },
  },
  {
    name: 'AWS-StartNonInteractiveCommand',
    description: 'Document to run single non-interactive command on an instance',
    owner: 'Amazon',
    sessionType: 'NonInteractiveCommands',
    parameters: { command: COMMAND },
    properties: { commands: '{{ command }}', runAsElevated: 'false' },
  },
];

/** The document as GetDocument gives it. */
export function documentContent(document: LabDocument): string {
  const parameters = Object.entries(document.parameters).map(
    ([name, { description, default: fallback, allowedPattern }]) => [
      name,
      { type: 'String', description, default: fallback, allowedPattern },
    ],
  );
  const content = {
    schemaVersion: '1.0',
    description: document.description,
    sessionType: document.sessionType,
    ...(parameters.length === 0 ? {} : { parameters: Object.fromEntries(parameters) }),
    ...(document.sessionType === 'Standard_Stream'
      ? { inputs: document.inputs ?? {} }
      : { properties: document.properties }),
  };
  return JSON.stringify(content, null, 2);
}

/**
 * The document's properties for one session: `{{ name }}` replaced, every list of one value made a scalar, as the service must do
 * (docs/protocol/ssm.md, "interactive_shell").
 *
 * @throws AwsFault InvalidParameters for an unknown, missing, repeated or unfitting parameter
 */
export function fillDocument(
  document: LabDocument,
  given: Readonly<Record<string, readonly string[]>>,
): Readonly<Record<string, string>> {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(document.parameters, name))
      throw invalid(`Parameter "${name}" is not defined in document ${document.name}.`);
  }
  const values = new Map<string, string>();
  for (const [name, parameter] of Object.entries(document.parameters)) {
    const list = given[name];
    if (list !== undefined && list.length !== 1)
      throw invalid(`Parameter "${name}" of type String takes exactly one value.`);
    const value = list?.[0] ?? parameter.default;
    if (value === undefined) throw invalid(`Parameter "${name}" is required by document ${document.name}.`);
    if (parameter.allowedPattern !== undefined && !new RegExp(parameter.allowedPattern).test(value)) {
      throw invalid(`Parameter "${name}" has value "${value}" not matching "${parameter.allowedPattern}".`);
    }
    values.set(name, value);
  }
  const fill = (text: string) =>
    text.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => values.get(name) ?? whole);
  // The machines of the lab run Linux.
  const { linux, macOS: _, windows: __, ...plain } = document.properties;
  const members = typeof linux === 'object' ? { ...plain, ...linux } : document.properties;
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) =>
      typeof value === 'object' ? [] : [[name, fill(String(value))] as const],
    ),
  );
}

const invalid = (message: string): AwsFault => new AwsFault('InvalidParameters', 400, message);
