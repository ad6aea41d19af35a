import { printable } from './printable.ts';

/*
 * Names of the catalogue in a page and in a diagram. They are people's own words: whatever of them Markdown or Mermaid would take as
 * syntax is made text again.
 */

/** A name as code, which no Markdown is read in; fit for a cell of a table. */
export function code(name: string): string {
  const text = printable(name);
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const pad = /^`|`$|^ .*[^ ].* $/.test(text) || text === '' ? ' ' : '';
  return `${fence}${pad}${text}${pad}${fence}`.replaceAll('|', '\\|');
}

/** Rows of a table; the cells are Markdown already. */
export function table(heading: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)];
}

/** A label of a Mermaid diagram, quotes included; entities as Mermaid writes them (`#quot;`). */
export function mermaidLabel(name: string): string {
  const text = printable(name).replace(/[^\p{L}\p{N} .,:/@=+_()-]/gu, (sign) => `#${sign.codePointAt(0)};`);
  // A label that begins like a list is taken for one.
  return `"${text.replace(/^(\d+)\./, '$1#46;').replace(/^([-+]) /, (_all, sign: string) => `#${sign.codePointAt(0)}; `)}"`;
}
