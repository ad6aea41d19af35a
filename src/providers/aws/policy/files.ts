import type { ExportFile, JsonValue, PolicyDraft, PolicyResource } from '../../policy-author.ts';
import { terraformFiles } from './terraform.ts';

/** The draft of one account as files. */
export function awsFiles(draft: PolicyDraft, format: 'json' | 'terraform'): readonly ExportFile[] {
  return format === 'terraform' ? terraformFiles(draft) : jsonFiles(draft);
}

const json = (value: JsonValue) => `${JSON.stringify(value, undefined, 2)}\n`;

function jsonFiles(draft: PolicyDraft): readonly ExportFile[] {
  const files = draft.resources.flatMap((resource): readonly ExportFile[] => {
    const { kind, name, content, id } = resource;
    if (kind === 'document') {
      const region = id.split('/')[1];
      return [{ path: `documents/${region}/${name}.json`, text: json((content as { document: JsonValue }).document) }];
    }
    if (kind === 'policy')
      return [{ path: `policies/${name}.json`, text: json((content as { policy: JsonValue }).policy) }];
    return [];
  });
  const attachments = draft.resources.filter(({ kind }) => kind === 'attachment');
  return [
    { path: 'README.md', text: readme(draft, attachments) },
    { path: 'attachments.json', text: json(attachments.map(({ content }) => content)) },
    ...files,
  ];
}

function readme({ place, owner, resources, notices }: PolicyDraft, attachments: readonly PolicyResource[]): string {
  const lines = resources
    .filter(({ kind }) => kind !== 'attachment')
    .map(({ kind, name, summary, size }) => {
      const used = size === undefined ? '' : ` (${size.used} of ${size.limit} ${size.unit})`;
      return `- ${kind} \`${name}\`: ${summary}${used}`;
    });
  return [
    `# Permissions in ${place}`,
    '',
    `Written by cloudtun from the catalogue \`${owner}\`. Session documents are of the type Session; every object carries the tag \`cloudtun:catalogue\`.`,
    '',
    ...lines,
    '',
    ...attachments.map(({ name }) => `- attach ${name}`),
    '',
    '## Before you sign',
    '',
    ...notices.map(({ level, team, text }) => `- ${level}: ${team === undefined ? '' : `${team}: `}${text}`),
    '- the record of sessions is who, when and where, not what: Session Manager logs nothing of port sessions',
    '- the security group of a database should admit its bastion and nothing else: the document is the second lock',
    '- let trust policies fix `sts:RoleSessionName` to the name of the person, so that sessions name them',
    '',
  ].join('\n');
}
