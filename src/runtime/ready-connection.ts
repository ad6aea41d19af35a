/**
 * A connection that stands before anybody needs it: TCP, the proxy's tunnel and TLS are done, and nothing was said on it yet. Node's own
 * agents connect for a request only.
 */
import { EventEmitter } from 'node:events';
import type { ClientRequest } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { type SecureContext, type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { Secret } from '../domain/secret.ts';
import { unlessAborted } from './deadline.ts';
import type { ProxyAgent } from './proxy-agents.ts';

/** Our side's certificate, PEM. */
export interface OwnCertificate {
  readonly certificate: string;
  readonly key: Secret;
  readonly passphrase?: Secret;
}

export interface ReadyConnectionOptions {
  /** Undefined: direct. */
  readonly proxy: ProxyAgent | undefined;
  readonly ca: readonly string[] | undefined;
  /** The same, parsed; where there is no certificate of our own. */
  readonly secureContext: SecureContext | undefined;
  readonly certificate: OwnCertificate | undefined;
}

/** @throws Node's own errors, CT_PROXY, the reason of `signal`; nothing is left open then */
export async function readyConnection(url: URL, options: ReadyConnectionOptions, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const { proxy, ca, secureContext, certificate } = options;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const to = {
    host,
    port: Number(url.port) || 443,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca && { ca: [...ca] }),
    ...(secureContext && !certificate && { secureContext }),
    ...(certificate && { cert: certificate.certificate, key: certificate.key.reveal() }),
    ...(certificate?.passphrase && { passphrase: certificate.passphrase.reveal() }),
  };
  const opening = proxy ? throughProxy(proxy, to) : Promise.resolve(tlsConnect(to));
  // The proxy's answer cannot be called off: what comes too late is closed.
  const late = () =>
    void opening.then(
      (socket) => socket.destroy(),
      () => {},
    );
  signal.addEventListener('abort', late, { once: true });
  try {
    const socket = await unlessAborted(opening, signal);
    await unlessAborted(secured(socket), signal);
    return socket;
  } finally {
    signal.removeEventListener('abort', late);
  }
}

/** The agents tell the request that they connect for what the proxy says; here there is none yet. */
async function throughProxy(proxy: ProxyAgent, to: { host: string; port: number }): Promise<TLSSocket> {
  const nobody = new EventEmitter() as unknown as ClientRequest;
  return (await proxy.connect(nobody, { ...to, secureEndpoint: true })) as TLSSocket;
}

function secured(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) return reject(socket.errored ?? new Error('the connection was closed'));
    const onClose = () => reject(socket.errored ?? new Error('the connection was closed'));
    // Stays on: whoever takes the socket over has listeners of its own.
    socket.on('error', () => {});
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      socket.removeListener('close', onClose);
      resolve();
    });
  });
}
