/** Permissions of Google Cloud from a catalogue, by the product's own planning, on a lab that enforces them. */
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import type { Catalogue } from '../../../src/config/catalogue.ts';
import { checkFiles } from '../../../src/config/check-files.ts';
import { USER_SCOPES } from '../../../src/lab/gcp/token-store.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { applyPlan } from '../../../src/onboarding/apply-plan.ts';
import { planTeams, type TeamPlan } from '../../../src/onboarding/team-plan.ts';
import { gcpProvider } from '../../../src/providers/gcp/gcp-provider.ts';
import { Lifetime } from '../../../src/runtime/lifetime.ts';
import { systemWorld } from '../../../src/runtime/world.ts';
import { testLab } from '../../support/aws-lab.ts';

const PROJECT = 'acme-practice';
const ZONE = 'asia-northeast1-a';
const ALICE = 'alice@example.com';
const MALLORY = 'mallory@example.com';
const never = new AbortController().signal;

const TARGETS = `version: 1
name: shop
targets:
  shop: { sql: shop, project: ${PROJECT} }
  page: { gcp: { instance: web-1, project: ${PROJECT}, zone: ${ZONE} }, hostPort: 80 }
  bastion: { gcp: { instance: bastion-g, project: ${PROJECT}, zone: ${ZONE} } }
`;
const READERS =
  'teams: { readers: { gcp: { group: readers@example.com }, may: { connect: [shop, page], ssh: [bastion] }, until: 2099-12-31 } }\n';

function catalogueOf(text: string): Catalogue {
  const { catalogue, problems } = checkFiles([{ path: 'cloudtun.yaml', label: 'cloudtun.yaml', text }]);
  assert.ok(catalogue, JSON.stringify(problems));
  return catalogue;
}

interface World {
  readonly lab: Lab;
  plan(text: string, as?: string): Promise<TeamPlan>;
  apply(text: string, as?: string): ReturnType<typeof applyPlan>;
}

/** A lab that enforces, and the product as somebody. */
async function enforcing(t: { after(call: () => Promise<void>): void }): Promise<World> {
  const lab = await testLab(t);
  lab.gcp.iam.enforce = true;
  lab.gcp.change((inventory) => ({ ...inventory, people: inventory.people.map((one) => ({ ...one, denied: [] })) }));
  lab.gcp.iam.setGroup('readers@example.com', [ALICE]);
  const lifetime = new Lifetime();
  t.after(() => lifetime[Symbol.asyncDispose]());
  const plan = async (text: string, as = 'admin') => {
    const env = lab.env();
    const folder = dirname(env.GOOGLE_APPLICATION_CREDENTIALS ?? '');
    const world = systemWorld({ env: { ...env, GOOGLE_APPLICATION_CREDENTIALS: join(folder, `${as}.json`) } });
    return planTeams(
      { catalogue: catalogueOf(text), said: {}, cloud: 'gcp' },
      () => ['project'],
      async (_cloud, selection) => lifetime.use(await gcpProvider(world, selection)),
      never,
    );
  };
  return { lab, plan, apply: async (text, as) => applyPlan(await plan(text, as), () => {}, never) };
}

const said = (plan: TeamPlan) =>
  plan.parts.flatMap(({ changes }) =>
    changes.map((change) => `${change.op} ${'wanted' in change ? change.wanted.kind : change.current.kind}`),
  );

/** What the tunnel service meets behind a port. */
const reach = async ({ lab }: World, email: string, port: number, instance = 'web-1') =>
  (
    await lab.gcp.network.resolve(
      { kind: 'instance', project: PROJECT, zone: ZONE, networkInterface: 'nic0', instance, port },
      email,
    )
  ).kind;

suite('permissions of Google Cloud', () => {
  test('give what the catalogue says to whom it says, and nothing else', async (t) => {
    const world = await enforcing(t);
    assert.equal(await reach(world, ALICE, 80), 'denied');
    const { done, left, failure } = await world.apply(TARGETS + READERS);
    assert.deepEqual([failure, left.length], [undefined, 0]);
    assert.ok(done.length >= 6, `${done.length} changes`);
    assert.equal(await reach(world, ALICE, 80), 'address');
    assert.equal(await reach(world, ALICE, 22), 'denied', 'another port');
    assert.equal(await reach(world, ALICE, 22, 'bastion-g'), 'address');
    assert.equal(await reach(world, ALICE, 80, 'app'), 'denied', 'another machine');
    assert.equal(await reach(world, MALLORY, 80), 'denied', 'another person');
    const { iam } = world.lab.gcp;
    const machine = (name: string) => `projects/${PROJECT}/zones/${ZONE}/instances/${name}`;
    assert.ok(iam.may(ALICE, 'compute.instances.osLogin', machine('bastion-g')));
    assert.ok(!iam.may(ALICE, 'compute.instances.osLogin', machine('web-1')));
    const account = `bastion@${PROJECT}.iam.gserviceaccount.com`;
    assert.ok(iam.may(ALICE, 'iam.serviceAccounts.actAs', account), 'its sshd asks for it');
    for (const permission of ['compute.instances.setMetadata', 'compute.instances.osAdminLogin'])
      assert.ok(!iam.may(ALICE, permission, machine('bastion-g')), permission);
    assert.ok(!iam.may(ALICE, 'resourcemanager.projects.setIamPolicy', `projects/${PROJECT}`));
  });

  test('are the same when they are applied again', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), []);
    const { done } = await world.apply(TARGETS + READERS);
    assert.equal(done.length, 0);
  });

  test('can be interrupted between any two changes, and are finished by the next run', async (t) => {
    const world = await enforcing(t);
    const whole = (await world.plan(TARGETS + READERS)).parts[0]!.changes.length;
    for (let count = 0; count < whole; count += 1) {
      const stop = new AbortController();
      const plan = await world.plan(TARGETS + READERS);
      const onStep = (_step: unknown, index: number) => {
        if (index === 1) stop.abort(new Error('pulled'));
      };
      const { done } = await applyPlan(plan, onStep, stop.signal);
      // The second call is begun and may or may not have been heard.
      assert.ok(done.length <= 2);
    }
    const { failure } = await world.apply(TARGETS + READERS);
    assert.equal(failure, undefined);
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), []);
    assert.equal(await reach(world, ALICE, 80), 'address');
  });

  test('follow a catalogue that gives less, or nothing any more', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const less = TARGETS + READERS.replace('[shop, page]', '[shop]');
    assert.deepEqual(said(await world.plan(less)), ['remove binding']);
    await world.apply(less);
    assert.equal(await reach(world, ALICE, 80), 'denied');
    const nobody = `${TARGETS}teams: { readers: { may: { connect: [shop] } } }\n`;
    const { failure } = await world.apply(nobody);
    assert.equal(failure, undefined);
    assert.deepEqual(said(await world.plan(nobody)), []);
    assert.equal(await reach(world, ALICE, 22, 'bastion-g'), 'denied');
    const group = `projects/${PROJECT}/iap_tunnel/locations/asia-northeast1/destGroups/private-sql`;
    assert.deepEqual(world.lab.gcp.iam.policy(group).bindings, []);
    assert.ok(!world.lab.gcp.iam.may(ALICE, 'compute.instances.list', `projects/${PROJECT}`));
  });

  test('leave alone what others gave, byte for byte', async (t) => {
    const world = await enforcing(t);
    const resource = `projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/web-1`;
    const foreign = {
      role: 'roles/iap.tunnelResourceAccessor',
      members: [`user:${MALLORY}`],
      condition: { title: 'theirs', expression: 'destination.port == 7', description: 'by hand' },
    };
    world.lab.gcp.iam.bind(resource, foreign);
    await world.apply(TARGETS + READERS);
    const { bindings } = world.lab.gcp.iam.policy(resource);
    assert.deepEqual(bindings[0], foreign);
    assert.equal(bindings.length, 2);
    await world.apply(`${TARGETS}teams: { readers: { may: { connect: [shop] } } }\n`);
    assert.deepEqual(world.lab.gcp.iam.policy(resource).bindings, [foreign]);
  });

  test('that were edited by hand are shown, and put right', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const resource = `projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/web-1`;
    const { bindings } = world.lab.gcp.iam.policy(resource);
    world.lab.gcp.iam.setPolicy(
      resource,
      bindings.map((one) => ({
        ...one,
        condition: { title: one.condition!.title, expression: 'destination.port == 22' },
      })),
    );
    assert.equal(await reach(world, ALICE, 22), 'address');
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), ['change binding']);
    await world.apply(TARGETS + READERS);
    assert.equal(await reach(world, ALICE, 22), 'denied');
    assert.equal(await reach(world, ALICE, 80), 'address');
  });

  test('end on their day', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS.replace('2099-12-31', '2020-01-01'));
    assert.equal(await reach(world, ALICE, 80), 'denied');
  });

  test('cannot be written by somebody without rights, who is told what is missing', async (t) => {
    const world = await enforcing(t);
    await assert.rejects(world.plan(TARGETS + READERS, 'bob'), (error: { code: string; details: unknown }) => {
      assert.equal(error.code, 'CT_DENIED');
      assert.match(JSON.stringify(error.details), /missing/);
      return true;
    });
    const name = `projects/${PROJECT}/roles/looker`;
    world.lab.gcp.iam.roles.set(name, {
      name,
      title: '',
      description: '',
      stage: 'GA',
      etag: '',
      deleted: false,
      includedPermissions: [
        'compute.instances.getIamPolicy',
        'iam.roles.get',
        'iam.serviceAccounts.getIamPolicy',
        'iap.tunnelDestGroups.getIamPolicy',
        'iap.tunnelInstances.getIamPolicy',
        'resourcemanager.projects.getIamPolicy',
      ],
    });
    for (const role of ['roles/viewer', 'roles/iap.tunnelDestGroupViewer', name])
      world.lab.gcp.iam.bind(`projects/${PROJECT}`, { role, members: ['user:bob@example.com'] });
    const { done, failure } = await world.apply(TARGETS + READERS, 'bob');
    assert.equal(done.length, 0);
    assert.equal((failure as { code?: string }).code, 'CT_DENIED');
    assert.match(JSON.stringify((failure as { details?: unknown }).details), /"missing","iam\.roles\.create on /);
  });

  test('of a target that is gone name who asks for it', async (t) => {
    const world = await enforcing(t);
    const gone = `${TARGETS.replace('sql: shop', 'sql: gone')}${READERS}`;
    await assert.rejects(world.plan(gone), (error: { code: string; details: unknown }) => {
      assert.equal(error.code, 'CT_TARGET_NOT_FOUND');
      assert.match(JSON.stringify(error.details), /team readers: connect shop/);
      return true;
    });
  });

  test('meet somebody who writes at the same time, and lose nothing of either', async (t) => {
    const world = await enforcing(t);
    const resource = `projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/web-1`;
    const { token } = world.lab.gcp.tokens.issue('admin@example.com', USER_SCOPES);
    const foreign = (index: number) => ({
      role: 'roles/iap.tunnelResourceAccessor',
      members: [`user:person-${index}@example.com`],
    });
    const call = async (verb: string, body: object) => {
      const answer = await fetch(`${world.lab.gcp.url}/iap/v1/${resource}:${verb}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      return (await answer.json()) as { etag?: string; bindings?: object[]; error?: object };
    };
    const others = async () => {
      for (let index = 0; index < 10; index += 1) {
        for (;;) {
          const before = await call('getIamPolicy', { options: { requestedPolicyVersion: 3 } });
          const policy = { ...before, version: 3, bindings: [...(before.bindings ?? []), foreign(index)] };
          if ((await call('setIamPolicy', { policy })).error === undefined) break;
        }
      }
    };
    const [{ failure }] = await Promise.all([world.apply(TARGETS + READERS), others()]);
    assert.equal(failure, undefined);
    assert.equal(world.lab.gcp.iam.policy(resource).bindings.length, 11);
  });
});
