import { CloudtunError } from '../../../domain/errors.ts';
import type { Grant } from '../../../domain/grant.ts';
import type { JsonValue } from '../../policy-author.ts';
import { SSH_PORT, type SubjectFacts } from './facts.ts';

/*
 * The Session document of one grant (iam.md 4.3; AWS, "session-manager-schema"). What is no parameter cannot be changed by the caller:
 * host and port are fixed, and of a log everything but how much of it is wanted.
 */

/** `ssm:CreateDocument` takes no more. */
export const DOCUMENT_LIMIT = 65_536;

/** Everything between these is replaced by Session Manager, also where a file is called so. */
const TEMPLATE = /\{\{|\}\}/;

interface Parameter {
  readonly type: 'String';
  readonly description: string;
  readonly default?: string;
  readonly allowedPattern?: string;
  readonly [key: string]: JsonValue | undefined;
}

/** The client's own business; the agent does not look at it. */
const LOCAL_PORT: Parameter = {
  type: 'String',
  description: 'local listener, client side only',
  allowedPattern: '^(0|[1-9][0-9]{0,4})$',
  default: '0',
};
const LINES: Parameter = {
  type: 'String',
  description: 'how many lines from the end',
  allowedPattern: '^[1-9][0-9]{0,5}$',
  default: '200',
};
const FOLLOW: Parameter = {
  type: 'String',
  description: '-f to go on with what comes',
  allowedPattern: '^(-f)?$',
  default: '',
};
/** No quote, no dollar, no backslash: it stands between single quotes in a command line. */
const WORD: Parameter = {
  type: 'String',
  description: 'only lines with this text',
  allowedPattern: '^[A-Za-z0-9 ._:/@=,+-]{0,128}$',
  default: '',
};

/** The content of the document, for `ssm:CreateDocument` with the type Session. @throws CT_CONFIG for a log that cannot be quoted */
export function documentContent(grant: Grant, facts: SubjectFacts): JsonValue {
  const { verb, subject } = grant;
  const via = `via ${facts.machineLabel}`;
  switch (verb) {
    case 'connect':
      return portDocument(`${subject.name} ${via}, port fixed`, facts.to ?? { port: 0 });
    case 'ssh':
      return portDocument(`sshd of ${subject.name}`, facts.sshd ?? { port: SSH_PORT });
    case 'socks':
      return openDocument(`everything that ${subject.name} reaches`);
    case 'run':
      return commandDocument(`commands on ${subject.name}`, '{{ command }}', {
        command: { type: 'String', description: 'the command line' },
      });
    case 'logs':
      return logDocument(grant);
  }
}

/** What a host is called by; anything else would be read by the shell of nobody, but a brace by Session Manager. */
const HOST = /^[A-Za-z0-9._:%-]{1,255}$/;

function portDocument(about: string, { host, port }: { readonly host?: string; readonly port: number }): JsonValue {
  if (host !== undefined && !HOST.test(host)) {
    throw new CloudtunError(
      'CT_CONFIG',
      `"${host}" cannot be written into a document: it is no name or address of a host`,
      {
        hint: 'write it into cloudtun.yaml as the machine before it looks it up',
      },
    );
  }
  return {
    schemaVersion: '1.0',
    description: `cloudtun: ${about}`,
    sessionType: 'Port',
    parameters: { localPortNumber: LOCAL_PORT as JsonValue },
    properties: {
      type: 'LocalPortForwarding',
      ...(host !== undefined && { host }),
      portNumber: String(port),
      localPortNumber: '{{ localPortNumber }}',
    },
  };
}

/** Host and port are the caller's: SOCKS has no other way, and its grant says so loudly. */
function openDocument(about: string): JsonValue {
  return {
    schemaVersion: '1.0',
    description: `cloudtun: ${about}`,
    sessionType: 'Port',
    parameters: {
      host: {
        type: 'String',
        description: 'where to, as the machine sees it',
        allowedPattern: '^[^,$^&\\(\\)!;\'"<>`{}\\[\\]\\|#=]{1,255}$',
        default: 'localhost',
      },
      portNumber: {
        type: 'String',
        description: 'the port there',
        allowedPattern: '^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$',
      },
      localPortNumber: LOCAL_PORT as JsonValue,
    },
    properties: {
      type: 'LocalPortForwarding',
      host: '{{ host }}',
      portNumber: '{{ portNumber }}',
      localPortNumber: '{{ localPortNumber }}',
    },
  };
}

function commandDocument(about: string, command: string, parameters: Readonly<Record<string, Parameter>>): JsonValue {
  return {
    schemaVersion: '1.0',
    description: `cloudtun: ${about}`,
    sessionType: 'NonInteractiveCommands',
    parameters: parameters as JsonValue,
    properties: { linux: { commands: command, runAsElevated: false, separateOutputStream: true } },
  };
}

function logDocument({ team, subject }: Grant): JsonValue {
  const { log, name } = subject;
  if (log === undefined) throw new CloudtunError('CT_INTERNAL', `the log ${name} of ${team} has no source`);
  if (/['\n\r\0]/.test(log.name) || TEMPLATE.test(log.name) || log.name.startsWith('-')) {
    throw new CloudtunError(
      'CT_CONFIG',
      `the ${log.kind} of the log ${name} cannot be written into a document: ${log.name}`,
      {
        hint: 'no quotes, line breaks or double braces, and no dash in front',
      },
    );
  }
  // No shell reads the command line of such a session: the agent splits it and starts the first word. So a shell is that word, and what
  // is the caller's comes to it as arguments, which it does not read as commands. Without -f there is an empty argument, and $2 is none.
  const source = {
    file: 'tail -n "$1" $2 -- "$4"',
    unit: 'journalctl --no-pager -n "$1" $2 -u "$4"',
    container: 'docker logs --tail "$1" $2 -- "$4" 2>&1',
  }[log.kind];
  const script = `${source} | grep --line-buffered -F -e "$3"`;
  const command = `sh -c '${script}' sh '{{ lines }}' '{{ follow }}' '{{ word }}' '${log.name}'`;
  return commandDocument(`the log ${name}`, command, { lines: LINES, follow: FOLLOW, word: WORD });
}

/** For people: what a document leads to. */
export function documentSummary({ verb, subject }: Grant, { to, sshd, machineLabel }: SubjectFacts): string {
  switch (verb) {
    case 'connect':
      return `Port, ${to?.host ?? machineLabel}:${to?.port}, fixed`;
    case 'ssh':
      return `Port, sshd of ${sshd?.host ?? machineLabel}, fixed`;
    case 'socks':
      return `Port, OPEN: any host and port that ${machineLabel} reaches`;
    case 'run':
      return `commands, OPEN: any on ${machineLabel}`;
    case 'logs':
      return `${subject.log?.kind} ${subject.log?.name} on ${machineLabel}, fixed`;
  }
}
