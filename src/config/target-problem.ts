import { stringify } from 'yaml';
import { checkCatalogue } from './parse.ts';
import type { ProposedTarget } from './propose-targets.ts';

/** Why a catalogue would refuse a target that another program's configuration gave; undefined where it would not. */
export function targetProblem({ name, entry }: ProposedTarget): string | undefined {
  const { problems } = checkCatalogue(stringify({ version: 1, targets: { [name]: entry } }), '');
  return problems[0]?.message;
}
