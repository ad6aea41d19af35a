/** A process that holds a forward to the lab of its environment until it is killed; says `ready` on stdout. */
import { openTunnel } from '../../src/broker/open-tunnel.ts';
import { composeApp } from '../../src/compose.ts';
import { openForward } from '../../src/forward/open-forward.ts';
import { systemWorld } from '../../src/runtime/world.ts';

const app = await composeApp(systemWorld(), { cloud: 'aws', said: {}, selection: {} }, {});
const forward = await openForward(app, {
  listen: [{ bind: ['127.0.0.1'], port: 0 }],
  open: (onEvent, signal) =>
    openTunnel(
      app.contextFor(app.providers[0]!),
      { kind: 'machine', text: 'web-1', to: [{ port: 80 }] },
      { onEvent },
      signal,
    ),
  limits: { ttl: undefined, idle: undefined, grace: 0 },
  onEvent: () => {},
});
await forward.ready;
process.stdout.write('ready\n');
