import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { environmentLines } from '../../src/cli/present/shell-environment.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { withLab } from '../../src/lab/lab-environment.ts';
import { testLab } from '../support/aws-lab.ts';
import { RelayPeer } from '../support/relay-lab.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const WEB = 'project=acme-practice&port=80&newWebsocket=True&zone=asia-northeast1-a&instance=web-1&interface=nic0';
const REPORTS =
  'project=acme-practice&port=5432&newWebsocket=True&region=asia-northeast1&network=practice-vpc&host=10.40.32.5&group=private-sql';

function peer(lab: Lab, query: string, email = 'alice@example.com'): RelayPeer {
  const { token } = lab.gcp.tokens.issue(email, []);
  const { relayRoot, authorityPem } = lab.gcp;
  return new RelayPeer({ root: relayRoot, authorityPem, token, query });
}

async function control(lab: Lab, path: string, body?: object) {
  const headers = { authorization: `Bearer ${lab.controlToken.reveal()}` };
  const response = await fetch(`${lab.url}/_lab/${path}`, {
    headers,
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
  });
  return { status: response.status, json: (await response.json()) as Record<string, never> };
}

suite('the Google half of the lab', () => {
  test('leads programs to itself by variables and files that only their owner reads', async (t) => {
    const directory = join(await temporaryDirectory(t), 'lab');
    const lab = await testLab(t, { directory });
    const { set, notes = [] } = lab.environment;
    assert.equal(set.CLOUDTUN_IAP_ENDPOINT, lab.gcp.relayRoot);
    assert.equal(set.CLOUDTUN_GCP_ENDPOINT, lab.gcp.url);
    assert.equal(set.GCE_METADATA_HOST, new URL(lab.gcp.url).host);
    const files = [
      set.GOOGLE_APPLICATION_CREDENTIALS,
      set.CLOUDTUN_GCP_CA_FILE,
      set.CLOUDSDK_AUTH_ACCESS_TOKEN_FILE,
      join(set.CLOUDSDK_CONFIG ?? '', 'application_default_credentials.json'),
      ...Object.values(lab.gcp.profiles),
    ];
    for (const file of files.map((each) => each ?? '')) {
      assert.ok(file.startsWith(directory), file);
      assert.equal(statSync(file).mode & 0o777, 0o600);
    }
    const token = readFileSync(set.CLOUDSDK_AUTH_ACCESS_TOKEN_FILE ?? '', 'utf8');
    const verdict = lab.gcp.tokens.check(token);
    assert.equal(verdict.ok && verdict.grant.email, 'alice@example.com');
    assert.equal(readFileSync(set.CLOUDTUN_GCP_CA_FILE ?? '', 'utf8'), lab.gcp.authorityPem);
    assert.match(notes.join(), new RegExp(`--iap-tunnel-url-override=${lab.gcp.relayRoot}`));
    assert.equal(environmentLines(lab.environment, 'fish').at(-1), `# ${notes[0]}`);
    const env = withLab({ CLOUDSDK_COMPUTE_ZONE: 'europe-west4-a', HOME: '/x' }, lab.environment);
    assert.deepEqual([env.CLOUDSDK_COMPUTE_ZONE, env.HOME], [undefined, '/x']);
  });

  test('a page of a machine and a database of a destination group answer through the relay', async (t) => {
    const lab = await testLab(t);
    const page = await peer(lab, WEB).start();
    page.send('GET / HTTP/1.0\r\n\r\n');
    await page.until(({ closed }) => closed?.code === 4010);
    assert.match(page.text, /You reached the practice machine web-1/);
    const database = await peer(lab, REPORTS).start();
    // SSLRequest; answered without loading the database.
    database.send(Buffer.from('0000000804d2162f', 'hex'));
    await database.until(({ text }) => text === 'N');
    assert.equal(lab.gcp.status().sessions[0]?.target, '10.40.32.5:5432@asia-northeast1/practice-vpc/private-sql');
    assert.equal((await peer(lab, WEB, 'bob@example.com').start()).closed?.code, 4033);
    assert.deepEqual(lab.gcp.status().violations, []);
  });

  test('a person’s tokens end in the middle: 4004, then 401 until there is a new one', async (t) => {
    const lab = await testLab(t);
    const page = await peer(lab, WEB).start();
    assert.equal((await control(lab, 'revoke', { email: 'alice@example.com' })).status, 200);
    await page.until(({ closed }) => closed?.code === 4004);
    await page.reconnect();
    assert.equal(page.status, 401);
    page.token = lab.gcp.tokens.issue('alice@example.com', []).token;
    await page.resume();
    assert.equal(page.resumedAt, 0);
  });

  test('the control endpoint sets faults, and shows status and journal', async (t) => {
    const lab = await testLab(t);
    const set = await control(lab, 'faults', {
      relay: { endCode: 1000 },
      gcpApi: [{ action: 'compute.*', kind: 'throttle' }],
    });
    assert.equal(set.status, 200);
    assert.equal(lab.gcp.faults.plan().endCode, 1000);
    const page = await peer(lab, WEB).start();
    page.send('GET / HTTP/1.0\r\n\r\n');
    await page.until(({ closed }) => closed?.code === 1000);
    await until(() => lab.gcp.relay.openSessions().length === 0);
    const { json } = await control(lab, 'status');
    const { gcp } = json as unknown as { gcp: ReturnType<Lab['gcp']['status']> };
    assert.deepEqual(gcp.apiFaults, [{ action: 'compute.*', kind: 'throttle' }]);
    assert.equal(gcp.endedSessions[0]?.end, '1000');
    assert.equal(gcp.counters.connects, 1);
    const { frames, requests } = (await control(lab, 'relay')).json as unknown as {
      frames: Record<string, { frame: string }[]>;
      requests: { url: string }[];
    };
    assert.equal(frames[page.sid]?.[0]?.frame, 'CONNECT_SUCCESS_SID');
    assert.match(requests[0]?.url ?? '', /instance=web-1/);
    for (const wrong of [{ relay: { endCode: 1 } }, { relay: [] }, { gcpApi: {} }, { other: 1 }]) {
      assert.equal((await control(lab, 'faults', wrong)).status, 400);
    }
    assert.equal((await control(lab, 'revoke', {})).status, 400);
  });

  test('nothing of it is left when the lab ends', async (t) => {
    const lab = await testLab(t);
    const page = await peer(lab, WEB).start();
    await lab[Symbol.asyncDispose]();
    await page.until(({ closed }) => closed?.code === 1006);
    await assert.rejects(fetch(lab.gcp.url));
  });
});
