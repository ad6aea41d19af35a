/** Permissions of AWS, from the catalogue into an account that enforces them, and back. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { changesOf, teamLab } from '../../support/team-lab.ts';

const TARGETS = `version: 1
targets:
  bastion: { aws: { instance: "tag:role=bastion", profile: admin } }
  web: { aws: { instance: web-1, profile: admin }, user: ec2-user, hostPort: 80 }
  inner: { aws: { instance: inner-1, profile: admin }, via: bastion, hostPort: 80 }
  prod: { rds: prod, via: bastion, user: app_reader, iamAuth: true, profile: admin }
  orders: { rds: orders, profile: admin }
  wiki: { host: wiki.internal, hostPort: 80, via: bastion }
logs:
  app: { target: web, file: /var/log/app/app.log }
`;

suite('from a catalogue to an account', () => {
  test('everything is made, and then there is nothing to do', async (t) => {
    const { plan, apply } = await teamLab(t);
    const text = `${TARGETS}teams: { readers: { aws: { user: alice, role: readers, permissionSet: readers }, may: { connect: [prod, orders, wiki, web, inner], ssh: [web, inner], socks: [bastion], run: [web], logs: [app] }, until: 2099-12-31 } }`;
    const planned = await plan(text);
    assert.equal(await apply(planned), 14);
    assert.deepEqual(changesOf(await plan(text)), []);
  });
});
