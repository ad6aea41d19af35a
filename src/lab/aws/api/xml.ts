/**
 * XML as the EC2 and query protocols need it: elements and text, no attributes but the namespace. An object is a set of elements, a
 * list repeats its element, undefined leaves it out.
 */
export type XmlValue = string | number | boolean | XmlObject;

export interface XmlObject {
  readonly [element: string]: XmlValue | readonly XmlValue[] | undefined;
}

/** A whole document: `<root xmlns="…">…</root>`. */
export function xmlDocument(root: string, namespace: string | undefined, content: XmlObject): string {
  const attribute = namespace === undefined ? '' : ` xmlns="${escapeXml(namespace)}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${xmlContent(content)}</${root}>`;
}

function xmlContent(value: XmlValue): string {
  if (typeof value !== 'object') return escapeXml(String(value));
  return Object.entries(value)
    .map(([name, one]) => {
      if (one === undefined) return '';
      return isList(one) ? one.map((item) => xmlElement(name, item)).join('') : xmlElement(name, one);
    })
    .join('');
}

const isList = (value: XmlValue | readonly XmlValue[]): value is readonly XmlValue[] => Array.isArray(value);

const xmlElement = (name: string, value: XmlValue): string => `<${name}>${xmlContent(value)}</${name}>`;

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}
