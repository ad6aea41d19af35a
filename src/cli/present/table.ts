import Table from 'cli-table3';
import { printable } from './printable.ts';

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid', 'middle']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`, `left-${side}`, `${side}-${side}`])
    .map((name) => [name, '']),
);

/** Rows under a heading in columns that are two spaces apart, as wide as their widest cell (wide characters count twice). */
export function tableLines(heading: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const table = new Table({
    chars: { ...NO_LINES, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of [heading, ...rows]) table.push(row.map((cell) => printable(cell)));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}
