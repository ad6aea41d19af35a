import type { Catalogue, CatalogueTarget } from '../../config/catalogue.ts';
import type { Grant } from '../../domain/grant.ts';
import { isoDay } from '../../domain/iso-day.ts';
import { catalogueGrants, endOf } from '../../onboarding/grants.ts';
import { mermaidLabel } from './markdown.ts';

/** Teams, what they may reach, and the machines on the way, as a Mermaid flowchart. The same catalogue gives the same text. */
export function teamDiagram(catalogue: Catalogue): readonly string[] {
  const ids = new Map<string, string>();
  const nodes: string[] = [];
  const node = (kind: 'team' | 'target' | 'log' | 'machine', name: string): string => {
    const key = `${kind}\n${name}`;
    const known = ids.get(key);
    if (known !== undefined) return known;
    const id = `${kind}${ids.size + 1}`;
    ids.set(key, id);
    const [before, after] = SHAPES[kind];
    nodes.push(`  ${id}${before}${mermaidLabel(name)}${after}`);
    return id;
  };
  const edges = new Set<string>();
  const byTeam = Map.groupBy(catalogueGrants(catalogue).grants, ({ team }) => team);
  for (const [team, entry] of catalogue.teams) {
    const from = node('team', team);
    const end = entry.until === undefined ? '' : ` until ${isoDay(endOf(entry.until))}`;
    const things = Map.groupBy(byTeam.get(team) ?? [], ({ verb, subject }) => `${verb === 'logs'} ${subject.name}`);
    for (const those of things.values()) {
      const [first] = those as [Grant, ...Grant[]];
      const verbs = [...new Set(those.map(({ verb }) => verb))].join(', ');
      const to = node(first.verb === 'logs' ? 'log' : 'target', first.subject.name);
      edges.add(`  ${from} -- ${mermaidLabel(`${verbs}${end}`)} --> ${to}`);
      const target = catalogue.targets.get(catalogue.logs.get(first.subject.name)?.target ?? first.subject.name);
      const way = target === undefined ? [] : machinesOf(target);
      let last = to;
      // From the target back to where the cloud is entered: what is nearest to the target comes first.
      for (const machine of [...way].reverse()) {
        const next = node('machine', machine);
        edges.add(`  ${last} --> ${next}`);
        last = next;
      }
    }
  }
  return ['flowchart LR', ...nodes, ...edges];
}

const SHAPES = {
  team: ['([', '])'],
  target: ['[', ']'],
  log: ['>', ']'],
  machine: ['[[', ']]'],
} as const;

/** The machines of a way, from here outwards; the target itself where it is one. */
function machinesOf(target: CatalogueTarget): readonly string[] {
  const via = (target.via ?? []).map(({ text }) => text);
  return target.kind === 'machine' ? [...via, target.instance] : via;
}
