import { catalogueJsonSchema } from '../src/config/json-schema.ts';

/** The part of a JSON Schema that the page shows. */
interface Shape {
  readonly description?: string;
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly items?: Shape;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Shape | false;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
}

const WORDS: Readonly<Record<string, string>> = { string: 'text', boolean: 'true, false', integer: 'number' };

/** What is written behind a key. */
function valueText(shape: Shape): string {
  if (shape.const !== undefined) return `\`${shape.const}\``;
  if (shape.enum) return shape.enum.map((each) => `\`${each}\``).join(', ');
  if (shape.anyOf) return [...new Set(shape.anyOf.map(valueText))].join(' or ');
  if (shape.examples) return `such as ${shape.examples.map((each) => `\`${each}\``).join(', ')}`;
  if (shape.properties) return 'keys, below';
  if (shape.additionalProperties) {
    const { properties } = shape.additionalProperties;
    return properties ? 'names, below' : `names, each with a ${valueText(shape.additionalProperties)}`;
  }
  if (shape.items) return shape.items.properties ? 'list, below' : `list of ${valueText(shape.items)}`;
  if (shape.type === 'integer') return `${shape.minimum} to ${shape.maximum}`;
  return WORDS[shape.type ?? ''] ?? shape.type ?? '';
}

/** Keys inside of a shape, and how they are written behind its own name: `targets.NAME`, `audit.sinks[]`. */
function insideOf(path: string, shape: Shape): readonly (readonly [string, Shape])[] {
  if (shape.properties) return [[path, shape]];
  if (shape.additionalProperties) return insideOf(`${path}.NAME`, shape.additionalProperties);
  return shape.items ? insideOf(`${path}[]`, shape.items) : [];
}

type Section = readonly [path: string, shape: Shape, rows: readonly (readonly string[])[]];

function sections(path: string, shape: Shape, about?: string): readonly Section[] {
  const keys = Object.entries(shape.properties ?? {});
  const rows = keys.map(([key, each]) => [
    `\`${key}\`${shape.required?.includes(key) ? ' (needed)' : ''}`,
    valueText(each),
    each.description ?? '',
  ]);
  const within = keys.flatMap(([key, each]) =>
    insideOf(path === '' ? key : `${path}.${key}`, each).flatMap(([inner, innerShape]) =>
      sections(inner, innerShape, each.description),
    ),
  );
  return [[path, { ...shape, ...(about !== undefined && { description: about }) }, rows], ...within];
}

/**
 * docs/reference/catalogue.md: every key of cloudtun.yaml, from its schema.
 *
 * @param table writes a table of Markdown
 */
export function cataloguePage(
  table: (head: readonly string[], rows: readonly (readonly string[])[]) => string,
): string {
  const [whole, ...others] = sections('', catalogueJsonSchema() as Shape);
  const head = ['key', 'value', 'meaning'];
  return `${[
    '# Keys of cloudtun.yaml',
    'Generated from the schema by `npm run generate`. `cloudtun config schema` prints it as JSON Schema, `cloudtun config validate` checks a file with it; how to use the file is in the [guide](../guides/catalogue.md).',
    table(head, whole?.[2] ?? []),
    ...others.flatMap(([path, { description }, rows]) => [
      `## ${path}`,
      ...(description === undefined ? [] : [`${description[0]?.toUpperCase()}${description.slice(1)}.`]),
      table(head, rows),
    ]),
  ].join('\n\n')}\n`;
}
