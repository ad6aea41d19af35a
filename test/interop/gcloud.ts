/** The real gcloud through the lab's relay, and cloudtun through the same one with faults. */
import { randomBytes } from 'node:crypto';
import { GCP_MACHINE, IAP_WORKLOAD_PORT } from '../bench/lab-process.ts';
import { echoPattern } from '../support/transfers.ts';
import { type Check, type Context, judge, megabytes, ok, rate, seconds } from './check.ts';
import { endIap, iapClients, openIap } from './iap-clients.ts';
import { downloadExactly, uploadExactly, withConnection } from './local-client.ts';

const BYTES = 50_000_000;
const BOTH_WAYS_BYTES = 200_000_000;
const LIMIT_MS = 200_000;
const TO = { instance: GCP_MACHINE, port: IAP_WORKLOAD_PORT };
/** 20 cuts, and of the frames 5 % are split, cut into single bytes, followed or preceded by what is to be ignored. */
const FAULTS = {
  cutInput: { everyBytes: 4_000_000, atMost: 10 },
  cutOutput: { everyBytes: 4_000_000, atMost: 10 },
  splitPercent: 5,
  oneBytePercent: 5,
  trailingPercent: 5,
  unknownTagPercent: 5,
  takePartialInput: true,
};

const told = (ms: number) => `${seconds(ms)}, ${rate(BYTES, ms)}`;

export const gcloudCheck: Check = {
  name: 'gcloud',
  needs: ['gcloud'],
  async run({ iap, peers }: Context) {
    const { gcloud } = iapClients(iap, peers.gcloud!);
    const session = await openIap(gcloud, TO);
    const up = await uploadExactly(session.port, BYTES, LIMIT_MS);
    const down = await downloadExactly(session.port, BYTES, LIMIT_MS);
    await endIap(gcloud, session);
    return {
      findings: [
        ok(`gcloud start-iap-tunnel, ${megabytes(BYTES)} up: SHA-256 equal; ${told(up)}`),
        ok(`gcloud start-iap-tunnel, ${megabytes(BYTES)} down: SHA-256 equal; ${told(down)}`),
      ],
    };
  },
};

export const relayCheck: Check = {
  name: 'relay',
  needs: [],
  async run({ iap, lab }: Context) {
    const { cloudtun } = iapClients(iap, '');
    await lab.setRelayFaults(FAULTS);
    const session = await openIap(cloudtun, TO);
    const before = (await lab.report()).relayCounters;
    const up = await uploadExactly(session.port, BYTES, LIMIT_MS);
    const down = await downloadExactly(session.port, BYTES, LIMIT_MS);
    const after = (await lab.report()).relayCounters;
    const cuts = (after.cuts ?? 0) - (before.cuts ?? 0);
    await lab.setRelayFaults({});
    const seed = randomBytes(2).readUInt16BE();
    const began = performance.now();
    await withConnection(session.port, LIMIT_MS, 'both ways at once did not end', (socket) =>
      echoPattern(socket, BOTH_WAYS_BYTES, seed),
    );
    const both = performance.now() - began;
    await endIap(cloudtun, session);
    return {
      findings: [
        ok(`cloudtun, ${megabytes(BYTES)} up with faults: SHA-256 equal; ${told(up)}`),
        ok(`cloudtun, ${megabytes(BYTES)} down with faults: SHA-256 equal; ${told(down)}`),
        judge(cuts >= 20, `${cuts} cuts of the websocket meanwhile`),
        ok(
          `cloudtun, ${megabytes(BOTH_WAYS_BYTES)} both ways at once on one connection: ${rate(BOTH_WAYS_BYTES, both)} each way`,
        ),
      ],
    };
  },
};
