import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Catalogue } from '../../src/config/catalogue.ts';
import { checkFiles } from '../../src/config/check-files.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { withLab } from '../../src/lab/lab-environment.ts';
import { applyPlan } from '../../src/onboarding/apply-plan.ts';
import { planTeams, type TeamPlan } from '../../src/onboarding/team-plan.ts';
import type { PolicyAuthor } from '../../src/providers/policy-author.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { Lifetime } from '../../src/runtime/lifetime.ts';
import { systemWorld, type World } from '../../src/runtime/world.ts';
import { testLab } from './aws-lab.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A lab that enforces, and whoever plans and applies the permissions of a catalogue in it. */
export interface TeamLab {
  readonly lab: Lab;
  readonly signal: AbortSignal;
  /** @param profile of the lab: who asks; default `admin` */
  plan(text: string, profile?: string): Promise<TeamPlan>;
  /** @throws what the first change that fails throws */
  apply(plan: TeamPlan, signal?: AbortSignal): Promise<number>;
  /** Plans and applies, and sees that nothing is left to be done. */
  bring(text: string): Promise<TeamPlan>;
  provider(profile: string): Promise<Provider>;
  author(profile?: string): Promise<PolicyAuthor>;
}

/** The catalogue of a text, which has to be right. */
export function catalogueOf(text: string): Catalogue {
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  return catalogue;
}

/** What a plan would do, a line for each change. */
export const changesOf = (plan: TeamPlan): readonly string[] =>
  plan.parts.flatMap(({ changes }) =>
    changes.map((change) => `${change.op} ${('wanted' in change ? change.wanted : change.current).name}`),
  );

export async function teamLab(t: TestContext, world: World = systemWorld()): Promise<TeamLab> {
  const home = await temporaryDirectory(t);
  const lab = await testLab(t, {}, world);
  lab.iam.set({ enforce: true });
  const lifetime = new Lifetime();
  t.after(() => lifetime[Symbol.asyncDispose]());
  const { signal } = t;
  const env = withLab({ HOME: home }, lab.environment);
  const outside: World = { ...systemWorld({ env }), clock: world.clock };
  const provider = async (profile: string) => lifetime.use(await PROVIDERS.aws.create(outside, { profile }));
  const plan = (text: string, profile = 'admin') =>
    planTeams(
      { catalogue: catalogueOf(text), said: { profile }, cloud: 'aws' },
      (cloud) => PROVIDERS[cloud].policy?.keys,
      (_cloud, selection) => provider(selection.profile ?? profile),
      signal,
    );
  const apply = async (planned: TeamPlan, until = signal) => {
    const { done, failure } = await applyPlan(planned, () => {}, until);
    if (failure !== undefined) throw failure;
    return done.length;
  };
  return {
    lab,
    signal,
    plan,
    apply,
    provider,
    author: async (profile = 'admin') => (await (await provider(profile)).policies?.())!,
    bring: async (text) => {
      const planned = await plan(text);
      await apply(planned);
      assert.deepEqual(changesOf(await plan(text)), [], 'nothing is left to be done');
      return planned;
    },
  };
}
