import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { awsProvider } from '../../src/providers/aws/aws-provider.ts';
import { systemWorld } from '../../src/runtime/world.ts';
import { dbInstancesAnswer, instancesAnswer, json, nodesAnswer, refusal } from './aws-answers.ts';

/*
 * A process of its own, because modules are never unloaded: goes one way of the provider (`machine` or `database`) against answers
 * on loopback, and prints which packages of the AWS SDK were loaded for it.
 */

const server = createServer(async (request, response) => {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const action =
    new URLSearchParams(Buffer.concat(pieces).toString()).get('Action') ??
    String(request.headers['x-amz-target']).split('.')[1];
  const id = 'i-0a1b2c3d4e5f60001';
  const answer =
    action === 'DescribeInstanceInformation'
      ? nodesAnswer([{ id }])
      : action === 'DescribeInstances'
        ? instancesAnswer([{ id, name: 'bastion-a' }])
        : action === 'DescribeDBInstances'
          ? dbInstancesAnswer([{ id: 'prod' }])
          : action === 'StartSession'
            ? json({ SessionId: 's', StreamUrl: 'ws://127.0.0.1:1/x', TokenValue: 't' })
            : refusal('InvalidAction')({ service: 'ec2', action: action ?? '', input: {}, headers: {} });
  response.writeHead(answer.status).end(answer.body);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const signal = new AbortController().signal;
const world = systemWorld({
  env: {
    AWS_ACCESS_KEY_ID: 'A',
    AWS_SECRET_ACCESS_KEY: 'B',
    AWS_REGION: 'eu-west-1',
    AWS_ENDPOINT_URL: endpoint,
    HOME: '/nonexistent',
  },
});
{
  await using provider = await awsProvider(world, {});
  const { finder, gatekeeper } = provider;
  const target =
    process.argv[2] === 'database'
      ? await finder.findDatabase('prod', {}, signal)
      : await finder.findMachine('i-0a1b2c3d4e5f60001', {}, signal);
  const route = await finder.routeTo(target, 3306, {}, signal);
  await gatekeeper.ticketSource(route, {}).issue(route.to, signal);
}
server.close();
server.closeAllConnections();
const packages = Object.keys(createRequire(import.meta.url).cache).flatMap(
  (path) => /node_modules\/(@aws-sdk\/client-[a-z0-9-]+)\//.exec(path)?.[1] ?? [],
);
process.stdout.write(JSON.stringify([...new Set(packages)].sort()));
