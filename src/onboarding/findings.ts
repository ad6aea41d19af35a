import type { Access } from './access.ts';

/** Something that whoever reviews a catalogue should see. */
export interface Finding {
  /** `finding`: what is reached is not what is listed, so one of both is wrong. `warning`: it is right, and rarely wanted. */
  readonly level: 'finding' | 'warning' | 'remark';
  /** Stable, for programs. */
  readonly code: string;
  readonly people?: readonly string[];
  readonly team?: string;
  /** The target or log. */
  readonly subject?: string;
  /** For people, no full stop. */
  readonly text: string;
}

/** Where what is reached is not what the catalogue lists; people of whom the same is true are named together. Pure. */
export function differencesToListed(all: readonly Access[]): readonly Finding[] {
  const found = new Map<string, { finding: Finding; people: string[] }>();
  const listed = Map.groupBy(
    all.filter((access) => access.listed.length > 0 && access.decision === 'allowed'),
    ({ person }) => person.name,
  );
  for (const access of all) {
    const finding = differenceOf(access, listed.get(access.person.name) ?? []);
    if (finding === undefined) continue;
    const key = JSON.stringify([finding, access.cloud, access.place]);
    const same = found.get(key) ?? { finding, people: [] };
    found.set(key, same);
    same.people.push(access.person.name);
  }
  return [...found.values()].map(({ finding, people }) => ({
    ...finding,
    people,
    text: `${namesText(people)} ${finding.text}`,
  }));
}

/** @param own what is listed for the same person, and holds */
function differenceOf(access: Access, own: readonly Access[]): Finding | undefined {
  const { attempt, decision, listed, ways } = access;
  const about = { subject: attempt.subject } as const;
  const isListed = listed.length > 0;
  if (isListed === (decision === 'allowed') && decision !== 'unknown') return undefined;
  const because = becauseOf(access);
  if (decision === 'unknown') {
    const text = isListed
      ? `is listed for "${attempt.text}", and it cannot be told whether that holds: ${because}`
      : `may be able to ${attempt.text}, which is not listed: ${because}`;
    return { ...about, level: 'warning', code: 'cannot-tell', text };
  }
  if (isListed) {
    const why = ways.length === 0 ? `none of its teams is anybody in ${access.place}` : because;
    const { team } = listed[0]!;
    const text = `is listed for "${attempt.text}", and is denied: ${why}`;
    return { ...about, level: 'finding', code: 'less-than-listed', team, text };
  }
  const whole = attempt.verb === undefined ? undefined : own.find((one) => isPartOf(access, one));
  if (whole !== undefined) {
    const text = `can ${attempt.text}, which is not listed and takes no more than what is: ${whole.attempt.id}`;
    return { ...about, level: 'warning', code: 'comes-with', text };
  }
  const text = `can ${attempt.text}, which is not listed: ${because}`;
  return { ...about, level: 'finding', code: 'more-than-listed', text };
}

/** Whether every call of one thing is a call of the other one too: who may do that may do this, in this cloud. */
function isPartOf(part: Access, whole: Access): boolean {
  if (part.cloud !== whole.cloud || part.place !== whole.place) return false;
  const callsOf = ({ ways }: Access) =>
    ways
      .filter(({ judgement }) => judgement.decision === 'allowed')
      .flatMap(({ judgement }) => judgement.calls.map(({ action, resource }) => `${action} ${resource}`));
  const calls = new Set(callsOf(whole));
  return callsOf(part).every((call) => calls.has(call));
}

/** The statements that decided, or, where none did, the call that nothing allows. */
function becauseOf({ ways, decision }: Access): string {
  const way = ways.find(({ judgement }) => judgement.decision === decision) ?? ways[0];
  if (way === undefined) return 'nobody was asked';
  const { calls } = way.judgement;
  const call = calls.find((one) => one.decision === decision) ?? calls[0];
  if (call === undefined) return 'no call was judged';
  const deciding = call.words.filter(({ counts }) => counts);
  const words = deciding.length > 0 ? deciding : call.words.slice(0, 1);
  if (decision === 'allowed')
    return words.length === 0
      ? call.action
      : words.map(({ policy, statement }) => `${policy}, statement ${statement}`).join('; ');
  const why = words.map(({ policy, statement, reason }) => `${policy}, statement ${statement}: ${reason}`).join('; ');
  return `${call.action} on ${call.resource}${why === '' ? ': no statement is near it' : ` (${why})`}`;
}

/** How many names a sentence takes. */
const SHOWN_NAMES = 4;

export function namesText(names: readonly string[]): string {
  if (names.length <= SHOWN_NAMES) return names.join(', ');
  return `${names.slice(0, SHOWN_NAMES - 1).join(', ')} and ${names.length - SHOWN_NAMES + 1} more`;
}
