import { type Document, isMap, parseDocument, type Scalar, YAMLMap } from 'yaml';
import type { ProposedTarget } from './propose-targets.ts';
import { SCHEMA_LINE } from './schema-line.ts';

const NEW_FILE = `${SCHEMA_LINE}
# What cloudtun opens, by name. All keys: cloudtun config schema
version: 1

targets: {}
`;

/**
 * The text of a catalogue with more targets in it. What is there stays as it is, comments included.
 *
 * @param text of the file as it is; undefined: there is none
 * @param defaults for every tunnel, those that it lacks
 */
export function withTargets(
  text: string | undefined,
  targets: readonly ProposedTarget[],
  defaults: Readonly<Record<string, string>> = {},
): string {
  const document = parseDocument(text ?? NEW_FILE);
  for (const [key, value] of Object.entries(defaults)) document.setIn(['defaults', key], value);
  const section = targetsOf(document);
  // `targets: {}` of a new file would make one line of it all.
  section.flow = false;
  for (const { name, entry, comment } of targets) {
    const value = document.createNode(entry, { flow: true });
    if (comment !== undefined) value.comment = ` ${comment}`;
    section.set(document.createNode(name) as Scalar, value);
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

function targetsOf(document: Document): YAMLMap {
  const found = document.get('targets', true);
  if (isMap(found)) return found;
  const made = new YAMLMap();
  document.set('targets', made);
  return made;
}
