/* What the formats for other programs have in common: how an event is called there, and how much it matters. */

type Fields = Readonly<Record<string, unknown>>;

const TITLES: Readonly<Record<string, string>> = {
  open: 'Tunnel opened',
  identity: 'Person identified',
  session: 'Session',
  renewal: 'Session renewed',
  moved: 'Machine or endpoint moved',
  'sign-in': 'Sign-in',
  client: 'Client',
  denial: 'Access denied',
  command: 'Command run',
  grant: 'Permission',
  end: 'Tunnel closed',
};

/** `Session started`, `Client closed`, `Access denied`. */
export function titleOf({ event, change }: Fields): string {
  const title = TITLES[String(event)] ?? String(event);
  return change === undefined ? title : `${title} ${change}`;
}

/** `notable`: an event with an error, a command that was run, a permission that was changed. */
export function severityOf({ event, code }: Fields): 'usual' | 'notable' | 'denied' {
  if (event === 'denial') return 'denied';
  return code !== undefined || event === 'command' || event === 'grant' ? 'notable' : 'usual';
}

/** `host:port` or `[::1]:port`; undefined for what is none, such as `stdio`. */
export function readEndpoint(value: unknown): { readonly host?: string; readonly port: number } | undefined {
  const [, host, port] = /^(.*?):?(\d{1,5})$/.exec(String(value ?? '')) ?? [];
  if (port === undefined || Number(port) > 65_535) return undefined;
  const bare = host?.replace(/^\[(.*)\]$/, '$1');
  return { ...(bare !== undefined && bare !== '' && { host: bare }), port: Number(port) };
}
