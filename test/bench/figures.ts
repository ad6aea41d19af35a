/** Medians and the one table that the bench prints. */

/** One line of the report: a figure, and what it is held against. */
export interface Figure {
  readonly group: string;
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What the same run measured for the thing to compare with. */
  readonly against?: { readonly name: string; readonly value: number };
  /** `value / against`, or the value itself, must be at least or at most this. */
  readonly bound?: { readonly kind: 'at-least' | 'at-most'; readonly limit: number; readonly of: 'ratio' | 'value' };
  readonly note?: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

export function ratioOf(figure: Figure): number | undefined {
  return figure.against && figure.against.value > 0 ? figure.value / figure.against.value : undefined;
}

/** Whether a figure keeps its bound; undefined where it has none. */
export function isKept(figure: Figure): boolean | undefined {
  if (!figure.bound) return undefined;
  const measured = figure.bound.of === 'ratio' ? ratioOf(figure) : figure.value;
  if (measured === undefined) return undefined;
  return figure.bound.kind === 'at-least' ? measured >= figure.bound.limit : measured <= figure.bound.limit;
}

const short = (value: number) =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);

function cells(figure: Figure): string[] {
  const ratio = ratioOf(figure);
  const kept = isKept(figure);
  const bound = figure.bound ? `${figure.bound.kind === 'at-least' ? '>=' : '<='} ${figure.bound.limit}` : '';
  return [
    figure.group,
    figure.name,
    `${short(figure.value)} ${figure.unit}`,
    figure.against ? `${short(figure.against.value)} ${figure.unit} (${figure.against.name})` : '',
    ratio === undefined ? '' : short(ratio),
    bound,
    kept === undefined ? '' : kept ? 'ok' : 'MISSED',
    figure.note ?? '',
  ];
}

/** Aligned columns, one line a figure. */
export function formatTable(figures: readonly Figure[]): string {
  const rows = [['', 'figure', 'cloudtun', 'against', 'ratio', 'bound', '', 'note'], ...figures.map(cells)];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
