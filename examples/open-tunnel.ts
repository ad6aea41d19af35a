import { once } from 'node:events';
import { connect } from 'node:net';
import { openTunnel } from 'cloudtun';

await using tunnel = await openTunnel({ target: 'rds:prod', port: 0, reason: 'example' });
const client = connect(tunnel.port, tunnel.host);
const [greeting] = (await once(client, 'data')) as [Buffer];
process.stdout.write(`${tunnel.address} says ${greeting.toString('latin1').match(/\d+\.\d+\.\d+[\w.-]*/)?.[0]}\n`);
client.destroy();
