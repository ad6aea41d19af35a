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

  test('do not hide a second condition that somebody put under our title', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const resource = `projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/web-1`;
    const { iam } = world.lab.gcp;
    const [ours] = iam.policy(resource).bindings;
    const wider = { ...ours!, condition: { title: ours!.condition!.title, expression: 'destination.port > 0' } };
    for (const bindings of [
      [ours!, wider],
      [wider, ours!],
    ]) {
      iam.setPolicy(resource, bindings);
      assert.equal(await reach(world, ALICE, 22), 'address', 'it is open');
      const plan = await world.plan(TARGETS + READERS);
      assert.deepEqual(said(plan), ['remove binding']);
      const [change] = plan.parts[0]!.changes;
      assert.match(change?.op === 'remove' ? (change.current.remark ?? '') : '', /edited by hand: .*port > 0/);
      const { failure } = await world.apply(TARGETS + READERS);
      assert.equal(failure, undefined);
      assert.deepEqual(iam.policy(resource).bindings, [ours]);
    }
  });

  test('are not written over what somebody changed after the plan', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const resource = `projects/${PROJECT}/iap_tunnel/zones/${ZONE}/instances/web-1`;
    const { iam } = world.lab.gcp;
    const plan = await world.plan(TARGETS + READERS.replace('[shop, page]', '[shop]'));
    assert.deepEqual(said(plan), ['remove binding']);
    const [ours] = iam.policy(resource).bindings;
    iam.setPolicy(resource, [
      { ...ours!, condition: { title: ours!.condition!.title, expression: 'destination.port == 22' } },
    ]);
    const { failure } = await applyPlan(plan, () => {}, never);
    assert.equal((failure as { code?: string }).code, 'CT_POLICY_CHANGED');
    assert.equal(iam.policy(resource).bindings.length, 1);
  });

  test('are taken from a machine that is gone meanwhile without complaint', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const plan = await world.plan(TARGETS + READERS.replace('[shop, page]', '[shop]'));
    world.lab.gcp.change((inventory) => ({
      ...inventory,
      instances: inventory.instances.filter(({ name }) => name !== 'web-1'),
    }));
    const { failure } = await applyPlan(plan, () => {}, never);
    assert.equal(failure, undefined);
  });

  test('on an account of a machine that is gone are found and taken back', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const { lab } = world;
    const account = `bastion@${PROJECT}.iam.gserviceaccount.com`;
    assert.ok(lab.gcp.iam.may(ALICE, 'iam.serviceAccounts.actAs', account));
    // The machine runs as nobody from now on; its account is there still.
    lab.gcp.change((inventory) => ({
      ...inventory,
      people: [...inventory.people, { ...inventory.people[0]!, email: account }],
      instances: inventory.instances.map((one) => {
        const { serviceAccount: _, ...rest } = one;
        return one.name === 'bastion-g' ? rest : one;
      }),
    }));
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), ['remove binding']);
    const { failure } = await world.apply(TARGETS + READERS);
    assert.equal(failure, undefined);
    assert.ok(!lab.gcp.iam.may(ALICE, 'iam.serviceAccounts.actAs', account));
  });

  test('on a secret are on the secret and not on a version, and are found when they are to go', async (t) => {
    const world = await enforcing(t);
    const secret = `projects/${PROJECT}/secrets/shop-password`;
    world.lab.secrets.set(secret, 'hush');
    const withSecret = (TARGETS + READERS).replace(
      `{ sql: shop,`,
      `{ sql: shop, secret: { secretManager: "${secret}/versions/3" },`,
    );
    const { failure } = await world.apply(withSecret);
    assert.equal(failure, undefined);
    const { iam } = world.lab.gcp;
    assert.ok(iam.may(ALICE, 'secretmanager.versions.access', secret));
    assert.ok(!iam.may(ALICE, 'secretmanager.versions.access', `projects/${PROJECT}/secrets/other`));
    assert.deepEqual(said(await world.plan(withSecret)), []);
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), ['remove binding']);
    await world.apply(TARGETS + READERS);
    assert.ok(!iam.may(ALICE, 'secretmanager.versions.access', secret));
  });

  test('of a database that no group holds make one of it alone, and it goes with them', async (t) => {
    const world = await enforcing(t);
    const noGroups = () => world.lab.gcp.change((inventory) => ({ ...inventory, destGroups: [] }));
    noGroups();
    const { failure } = await world.apply(TARGETS + READERS);
    assert.equal(failure, undefined);
    const groups = () => world.lab.gcp.inventory.destGroups.map(({ name, cidrs }) => `${name} ${cidrs.join()}`);
    const [group] = groups();
    assert.match(group ?? '', /^cloudtun-shop 10\.[0-9.]+\/32$/);
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), []);
    // Somebody lets the whole network in.
    world.lab.gcp.change((inventory) => ({
      ...inventory,
      destGroups: inventory.destGroups.map((one) => ({ ...one, cidrs: [...one.cidrs, '10.0.0.0/8'] })),
    }));
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), ['change destination group']);
    await world.apply(TARGETS + READERS);
    assert.deepEqual(groups(), [group]);
    await world.apply(TARGETS + READERS.replace('[shop, page]', '[page]'));
    assert.deepEqual(groups(), []);
  });

  test('do not aim a group elsewhere on which others gave something', async (t) => {
    const world = await enforcing(t);
    world.lab.gcp.change((inventory) => ({
      ...inventory,
      destGroups: inventory.destGroups.map((one) => ({ ...one, name: 'cloudtun-shop', cidrs: ['10.9.9.9/32'] })),
    }));
    const name = world.lab.gcp.inventory.destGroups[0]!;
    const group = `projects/${PROJECT}/iap_tunnel/locations/${name.region}/destGroups/cloudtun-shop`;
    const theirs = {
      role: 'roles/iap.tunnelResourceAccessor',
      members: [`user:${MALLORY}`],
      condition: { title: 'cloudtun/other/readers/shop', expression: 'destination.port == 3306' },
    };
    world.lab.gcp.iam.bind(group, theirs);
    await assert.rejects(world.apply(TARGETS + READERS), { code: 'CT_POLICY_CONFLICT' });
    assert.deepEqual(world.lab.gcp.inventory.destGroups[0]!.cidrs, ['10.9.9.9/32']);
    assert.deepEqual(world.lab.gcp.iam.policy(group).bindings, [theirs]);
  });

  test('take a role back that was switched off, and never one that is not theirs', async (t) => {
    const world = await enforcing(t);
    await world.apply(TARGETS + READERS);
    const { roles } = world.lab.gcp.iam;
    const name = `projects/${PROJECT}/roles/cloudtun_shop_viewer`;
    roles.set(name, { ...roles.get(name)!, stage: 'DISABLED' });
    assert.ok(!world.lab.gcp.iam.may(ALICE, 'compute.instances.list', `projects/${PROJECT}`));
    assert.deepEqual(said(await world.plan(TARGETS + READERS)), ['change role']);
    await world.apply(TARGETS + READERS);
    assert.ok(world.lab.gcp.iam.may(ALICE, 'compute.instances.list', `projects/${PROJECT}`));
    roles.set(name, { ...roles.get(name)!, description: 'cloudtun/shop-two: of another one', includedPermissions: [] });
    await assert.rejects(world.apply(TARGETS + READERS), { code: 'CT_POLICY_CONFLICT' });
    assert.deepEqual(roles.get(name)?.includedPermissions, []);
  });

  test('made by somebody else between plan and apply are not written over', async (t) => {
    const world = await enforcing(t);
    const plan = await world.plan(TARGETS + READERS);
    const name = `projects/${PROJECT}/roles/cloudtun_shop_viewer`;
    const theirs = {
      name,
      title: 'theirs',
      description: 'theirs',
      stage: 'GA',
      etag: 'BwX',
      deleted: false,
      includedPermissions: ['compute.zones.list'],
    };
    world.lab.gcp.iam.roles.set(name, theirs);
    const { failure, done } = await applyPlan(plan, () => {}, never);
    assert.equal((failure as { code?: string }).code, 'CT_POLICY_CHANGED');
    assert.equal(done.length, 0);
    assert.deepEqual(world.lab.gcp.iam.roles.get(name), theirs);
  });

  test('say what is not as it seems: no OS Login, no record, another project', async (t) => {
    const world = await enforcing(t);
    const codes = async (text: string) => (await world.plan(text)).parts[0]!.draft.notices.map(({ code }) => code);
    const found = await codes(TARGETS + READERS);
    assert.ok(found.includes('no-os-login'), found.join());
    assert.ok(found.includes('no-audit-log'), found.join());
    const { iam } = world.lab.gcp;
    const { bindings } = iam.policy(`projects/${PROJECT}`);
    iam.setPolicy(`projects/${PROJECT}`, bindings, [
      { service: 'iap.googleapis.com', auditLogConfigs: [{ logType: 'DATA_READ' }] },
    ]);
    const logged = await codes(TARGETS + READERS.replace('ssh: [bastion]', 'ssh: [page]'));
    assert.ok(!logged.includes('no-audit-log') && !logged.includes('no-os-login'), logged.join());
    const elsewhere = TARGETS.replace('instance: web-1', `instance: "acme-analytics/asia-northeast1-c/etl-1"`).replace(
      `, zone: ${ZONE} }, hostPort`,
      ' }, hostPort',
    );
    await assert.rejects(world.plan(elsewhere + READERS), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'CT_CONFIG');
      assert.match(error.message, /acme-analytics/);
      return true;
    });
  });

  test('beside ours are found with what custom roles hold, logins to the machine included', async (t) => {
    const world = await enforcing(t);
    const { iam } = world.lab.gcp;
    const name = `projects/${PROJECT}/roles/backdoor`;
    const role = { name, title: '', description: '', stage: 'GA', etag: 'BwY', deleted: false };
    iam.roles.set(name, { ...role, includedPermissions: ['iap.tunnelInstances.accessViaIAP'] });
    iam.bind(`projects/${PROJECT}`, { role: name, members: [`user:${ALICE}`] });
    const machine = `projects/${PROJECT}/zones/${ZONE}/instances/bastion-g`;
    iam.bind(machine, { role: 'roles/compute.osAdminLogin', members: ['allAuthenticatedUsers'] });
    const [part] = (await world.plan(TARGETS + READERS)).parts;
    const person = { principal: { cloud: 'gcp', kind: 'group', name: 'readers@example.com' }, name: ALICE } as const;
    const others = await part!.author.others(person, part!.facts, never);
    assert.deepEqual(others.map((one) => one.name).sort(), [`projects/${PROJECT}`, machine]);
    const { drafter } = part!.author;
    const attempts = drafter.attempts(part!.grants, part!.facts);
    const decide = (id: string, extra: typeof others) => {
      const attempt = attempts.find((one) => one.id === id);
      assert.ok(attempt, `${id} of ${attempts.map((one) => one.id).join('; ')}`);
      return drafter.judge(part!.draft, part!.facts, person, attempt, { at: 0, others: extra }).decision;
    };
    for (const id of ['another port of web-1', 'root on bastion-g']) {
      assert.equal(decide(id, []), 'denied', id);
      assert.equal(decide(id, others), 'allowed', id);
    }
  });
});
