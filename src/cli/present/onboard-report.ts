import { isoDay } from '../../domain/iso-day.ts';
import type { PlaceIdentity } from '../../onboarding/identities.ts';
import type { GivenThing, Standing } from '../../onboarding/standing.ts';
import type { TriedTarget } from '../../onboarding/try-access.ts';
import { errorJson } from './error-json.ts';
import { printable } from './printable.ts';

/** A step of setting up this machine. */
export interface SetupStep {
  readonly what: string;
  readonly isDone: boolean;
  /** What was written, or what to type. */
  readonly text: string;
}

/** What `onboard` found. */
export interface OnboardReport {
  readonly places: readonly PlaceIdentity[];
  readonly standing: Standing;
  readonly tried: readonly TriedTarget[];
  readonly setup: readonly SetupStep[];
  readonly next: readonly string[];
  /** A text to send on; empty when nothing is missing. */
  readonly request: readonly string[];
}

export function onboardJson({ places, standing, tried, setup, next, request }: OnboardReport) {
  return {
    identities: places.map(({ cloud, label, ...rest }) => ({
      cloud,
      place: label,
      ...('identity' in rest
        ? { id: rest.identity.id, name: rest.identity.name, source: rest.identity.source }
        : { error: errorJson(rest.error) }),
    })),
    teams: standing.teams,
    given: standing.given.map(({ until, ...rest }) => ({
      ...rest,
      ...(until !== undefined && { until: new Date(until).toISOString() }),
    })),
    tried: tried.map((each) =>
      each.outcome === 'open'
        ? { name: each.name, isOpen: true, tookMs: Math.round(each.took), target: each.target, to: each.to }
        : { name: each.name, isOpen: false, error: errorJson(each.error) },
    ),
    setup,
    next,
    request: request.join('\n'),
  };
}

/** Who you are, before anything is tried. */
export function identityLines(places: readonly PlaceIdentity[]): readonly string[] {
  return [
    'you are',
    ...places.flatMap((place) =>
      'identity' in place
        ? [`  ok    ${place.label}: ${place.identity.name} (${place.identity.id}, ${place.identity.source})`]
        : [
            `  FAIL  ${place.label}: ${place.error.message} (${place.error.code})`,
            ...place.error.hints.map((hint) => `          ${hint}`),
          ],
    ),
  ].map(printable);
}

export function standingLine({ teams, given }: Standing, hasTeams: boolean): string {
  if (!hasTeams) return 'cloudtun.yaml names no teams: everything in it is tried';
  if (teams.length === 0) return 'cloudtun.yaml has no team that you are known to be in';
  const names = teams.map(({ team, because }) => `${team} (${because})`).join(', ');
  return printable(
    `you are in ${names}, which ${teams.length > 1 ? 'are' : 'is'} given ${given.length > 0 ? 'this' : 'nothing now'}`,
  );
}

/** What was not tried, and why. */
export function untriedLine({ verb, name, until }: GivenThing): string {
  const end = until === undefined ? '' : `, until ${isoDay(until)}`;
  const why = verb === 'socks' ? 'opens when a client names a host' : 'is not tried: it would run something there';
  return printable(`  --    ${verb} ${name} ${why}${end}`);
}

export function triedLines(tried: TriedTarget, given: GivenThing | undefined): readonly string[] {
  const { name } = tried;
  if (tried.outcome === 'open') {
    const end = given?.until === undefined ? '' : `, until ${isoDay(given.until)}`;
    return [printable(`  ok    ${name}: ${tried.target} answered in ${(tried.took / 1_000).toFixed(1)} s${end}`)];
  }
  const { error } = tried;
  return [
    `  FAIL  ${name}: ${error.message} (${error.code})`,
    ...error.details.map(([label, text]) => `          ${label}  ${text}`),
    ...error.hints.map((hint) => `          ${hint}`),
  ].map(printable);
}

/** What comes behind the tries. */
export function closingLines({ setup, next, request }: OnboardReport): readonly string[] {
  return [
    ...(setup.length > 0 ? ['this machine'] : []),
    ...setup.map(({ what, isDone, text }) => `  ${isDone ? 'ok  ' : '--  '}  ${what}: ${text}`),
    ...(request.length > 0 ? ['send this to get the rest', ...request.map((line) => `  | ${line}`)] : []),
    ...(next.length > 0 ? ['next', ...next.map((line) => `  ${line}`)] : []),
  ].map(printable);
}
