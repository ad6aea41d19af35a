import { Document, visit } from 'yaml';

/** What is set at a place of a cloudtun.yaml, as its lines: lists on one line, as people write them there. */
export function yamlLines(path: readonly string[], value: unknown): readonly string[] {
  const nested = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
  const document = new Document(nested);
  visit(document, {
    Seq: (_key, list) => {
      list.flow = true;
    },
  });
  return document.toString({ lineWidth: 0, flowCollectionPadding: false }).trimEnd().split('\n');
}
