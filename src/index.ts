/*
 * The library: `import { openTunnel } from 'cloudtun'`. What is exported here is public, and nothing else is (docs/guides/programs.md).
 */
export { ERROR_CATALOGUE, type ErrorCode, type ErrorEntry, type ErrorKind } from './domain/error-catalogue.ts';
export { CloudtunError } from './domain/errors.ts';
export { openTunnel } from './library/open-tunnel.ts';
export type { CloseReason, ErrorJson, TunnelEvent } from './library/tunnel-event.ts';
export type {
  LocalAddress,
  OpenTunnel,
  TunnelContext,
  TunnelEnd,
  TunnelOptions,
  TunnelStatus,
} from './library/tunnel-types.ts';
