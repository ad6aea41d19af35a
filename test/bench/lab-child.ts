/**
 * A lab and a workload server in a process of their own, so that the bench measures cloudtun and not its peer. With the argument
 * `practice` the lab's own databases stand behind all their names, and the workload server behind none; with `ssh` Debian's sshd, which
 * lets everybody in, stands behind every machine.
 */
import { faultPatchSchema } from '../../src/lab/aws/faults.ts';
import { relayPatchSchema } from '../../src/lab/gcp/relay/relay-faults.ts';
import { USER_SCOPES } from '../../src/lab/gcp/token-store.ts';
import { startLab } from '../../src/lab/lab.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { opensshLab } from '../support/openssh-sshd.ts';
import { WorkloadServer } from '../support/workload-server.ts';
import { GCP_MACHINE, IAP_WORKLOAD_PORT } from './lab-process.ts';

const workload = await WorkloadServer.start();
const isPractice = process.argv[2] === 'practice';
const lab = await startLab(systemWorld(), isPractice ? {} : { databases: { orders: workload.address } });
lab.gcp.network.attach(GCP_MACHINE, IAP_WORKLOAD_PORT, workload.address);
const endings: (() => Promise<void>)[] = [];
if (process.argv[2] === 'ssh') opensshLab({ after: (end) => endings.push(end) }, lab, { letsAllIn: true });
const key = lab.profiles.default!;
process.on('message', (message: { faults?: unknown; relayFaults?: unknown; status?: true }) => {
  if (message.relayFaults !== undefined) lab.gcp.faults.set(relayPatchSchema.parse(message.relayFaults));
  if (message.faults !== undefined) lab.faults.set(faultPatchSchema.parse(message.faults));
  const usage = process.cpuUsage();
  process.send?.({
    counters: lab.gateway.counters(),
    relayCounters: lab.gcp.relay.counters(),
    relayViolations: lab.gcp.relay.violations(),
    violations: lab.gateway.violations(),
    sessions: lab.gateway.openSessions().map(({ sessionId }) => sessionId),
    cpuMs: (usage.user + usage.system) / 1000,
  });
});
process.on('disconnect', async () => {
  for (const end of endings.reverse()) await end();
  await lab[Symbol.asyncDispose]();
  process.exit();
});
process.send?.({
  url: lab.url,
  region: lab.inventory.region,
  accessKeyId: key.accessKeyId,
  secretAccessKey: key.secretAccessKey.reveal(),
  host: lab.inventory.databases.find(({ id }) => id === 'orders')?.host,
  hosts: Object.fromEntries(lab.inventory.databases.map(({ id, host }) => [id, host])),
  target: workload.address,
  env: lab.env(),
  gcp: {
    relayRoot: lab.gcp.relayRoot,
    authorityFile: lab.gcp.authorityFile,
    accessToken: lab.gcp.tokens.issue('alice@example.com', USER_SCOPES).token,
  },
});
