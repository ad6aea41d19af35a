/** The package has no types. It is only a yardstick for our own rules (src/runtime/proxy-rules.ts). */
declare module 'proxy-from-env' {
  export function getProxyForUrl(url: string | URL): string;
}
