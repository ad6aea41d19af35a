import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';

/** A repository behind plain HTTP, as a private git host has it: files of a bare repository (gitprotocol-http, "Dumb clients"). */
export interface GitHost extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** @param directory for the repository `/app.git`, which has `files` in its only commit */
export async function gitHost(directory: string, files: Readonly<Record<string, Buffer>>): Promise<GitHost> {
  const work = join(directory, 'work');
  const bare = join(directory, 'app.git');
  mkdirSync(work, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(work, name), bytes);
  const git = (...words: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=lab', '-c', 'user.email=lab@example.com', ...words], { stdio: 'ignore' });
  git('init', '-q', '-b', 'main', work);
  git('-C', work, 'add', '.');
  git('-C', work, 'commit', '-q', '-m', 'first');
  git('clone', '-q', '--bare', work, bare);
  git('-C', bare, 'update-server-info');
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://git').pathname));
    createReadStream(join(directory, path))
      .on('error', () => response.writeHead(404).end())
      .once('open', () => response.writeHead(200))
      .pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
