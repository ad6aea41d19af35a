/**
 * The native syntax of HCL as far as exported permissions need it ("developer.hashicorp.com/terraform/language/syntax/configuration"):
 * blocks with labels, attributes, nested blocks, references. Texts are literal: what HCL would take as a template (`${`, `%{`) is
 * escaped, so a variable of IAM stays one.
 */

/** An expression that is written as it is: `aws_iam_policy.readers.arn`. */
export interface HclReference {
  readonly reference: string;
}

export type HclValue =
  | string
  | number
  | boolean
  | HclReference
  | readonly (string | HclReference)[]
  | { readonly [key: string]: string | HclReference | { readonly [key: string]: string } };

/** Attributes, in order. A list of objects is a nested block for each of them. */
export type HclBody = { readonly [name: string]: HclValue | readonly { readonly [name: string]: HclValue }[] };

export const hclReference = (reference: string): HclReference => ({ reference });

/** `resource "aws_iam_policy" "readers" { … }` with a line break at the end. */
export function hclBlock(kind: string, labels: readonly string[], body: HclBody, indent = ''): string {
  const head = [kind, ...labels.map((label) => quoted(label))].join(' ');
  const lines = Object.entries(body).flatMap(([name, value]) => {
    if (isBlocks(value)) return value.map((each) => hclBlock(name, [], each, `${indent}  `).trimEnd());
    return `${indent}  ${name} = ${hclValue(value, `${indent}  `)}`;
  });
  return `${indent}${head} {${lines.length === 0 ? '' : `\n${lines.join('\n')}\n${indent}`}}\n`;
}

const isBlocks = (value: HclBody[string]): value is readonly { readonly [name: string]: HclValue }[] =>
  Array.isArray(value) && value.some((each) => typeof each === 'object' && !('reference' in each));

const isReference = (value: object): value is HclReference => 'reference' in value && Object.keys(value).length === 1;

function hclValue(value: HclValue, indent: string): string {
  if (typeof value === 'string') return text(value, indent);
  if (typeof value !== 'object') return String(value);
  if (Array.isArray(value)) {
    const list: readonly (string | HclReference)[] = value;
    return `[${list.map((each) => hclValue(each, indent)).join(', ')}]`;
  }
  if (isReference(value)) return value.reference;
  const members = Object.entries(value as { readonly [key: string]: HclValue });
  const lines = members.map(([key, each]) => `${indent}  ${quoted(key)} = ${hclValue(each, `${indent}  `)}`);
  return `{\n${lines.join('\n')}\n${indent}}`;
}

/** Several lines as a heredoc, whose indent goes; one line quoted. */
function text(value: string, indent: string): string {
  if (!value.includes('\n') || value.split('\n').includes('EOT')) return quoted(value);
  const lines = escapeTemplates(value).split('\n');
  return `<<-EOT\n${lines.map((line) => `${indent}  ${line}`).join('\n')}\n${indent}EOT`;
}

/** By functions: in a replacement that is a text, `$$` is one dollar. */
const escapeTemplates = (value: string) => value.replaceAll('${', () => '$${').replaceAll('%{', () => '%%{');

function quoted(value: string): string {
  const escaped = value
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `"${escapeTemplates(escaped)}"`;
}
