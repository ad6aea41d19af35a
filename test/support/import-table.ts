/**
 * Who may import whom, as data (ARCHITECTURE.md, "Imports point one way"). The first row whose `folder` fits a file rules it.
 *
 * `<p>` stands for one folder name and means the same one on both sides; `**` for any number of them; `own` for the file's folder.
 */
export interface ImportRow {
  readonly folder: string;
  /** Paths below src/; a folder's own files are always allowed. */
  readonly may: readonly string[];
  /** Packages of the registry; none unless named. */
  readonly packages?: readonly string[];
  /** Modules of Node that may be used at run time; any unless named. Types are always free. */
  readonly node?: readonly string[];
  readonly why: string;
}

const GROUND = ['domain/**', 'runtime/**', 'types/**'];
const SERVICES = [
  'onboarding/**',
  'providers/policy-author.ts',
  'broker/**',
  'forward/**',
  'socks/**',
  'ssh/**',
  'expose/**',
  'plan/**',
  'exec/**',
  'monitor/**',
];

export const IMPORT_TABLE: readonly ImportRow[] = [
  {
    folder: 'lab/**/core',
    may: ['**/core/**', 'domain/**', 'types/**'],
    node: ['node:crypto', 'node:buffer'],
    why: 'as every core, and it shares the codecs of the wire with the near side',
  },
  {
    folder: 'onboarding/core',
    may: ['domain/**', 'types/**'],
    packages: ['@marcbachmann/cel-js'],
    node: ['node:crypto', 'node:buffer'],
    why: 'as every core; the language of conditions in Google Cloud is a library without I/O of its own',
  },
  {
    folder: 'onboarding',
    may: [
      'onboarding/core/**',
      'plan/**',
      'exec/open-names.ts',
      'broker/**',
      'forward/**',
      'providers/{provider,policy-author}.ts',
      'config/**',
      'audit/**',
      ...GROUND,
    ],
    why: 'who may reach what, from the catalogue to the clouds and back: no SDK, no terminal',
  },
  {
    folder: '**/core',
    may: ['domain/**', 'types/**'],
    node: ['node:crypto', 'node:buffer'],
    why: 'sans-IO stays sans-IO: bytes, commands and `now` in, steps out (node:crypto for digests and ciphers only)',
  },
  { folder: 'domain', may: ['types/**'], node: [], why: 'nouns; they know nothing' },
  {
    folder: 'runtime',
    may: ['domain/**', 'types/**'],
    packages: ['http-proxy-agent', 'https-proxy-agent', 'socks-proxy-agent'],
    why: 'the outside world behind interfaces, corporate proxy and certificates included',
  },
  { folder: 'types', may: [], node: [], why: 'declarations only' },
  {
    folder: 'transport/ws',
    may: ['transport/tunnel.ts', ...GROUND],
    packages: ['ws'],
    why: 'the one place that knows the websocket library',
  },
  {
    folder: 'transport/smux',
    may: ['transport/smux/core/**', 'transport/tunnel.ts', ...GROUND],
    why: 'protocols do not know clouds, nor each other',
  },
  {
    folder: 'transport/ssm',
    may: ['transport/ssm/core/**', 'transport/ws/**', 'transport/smux/**', 'transport/tunnel.ts', ...GROUND],
    why: 'Session Manager carries smux over a websocket; it does not know clouds',
  },
  {
    folder: 'transport/iap',
    may: ['transport/iap/core/**', 'transport/ws/**', 'transport/tunnel.ts', ...GROUND],
    why: 'the relay of Identity-Aware Proxy has a websocket for each stream and no multiplexing; it does not know clouds',
  },
  {
    folder: 'transport',
    may: ['transport/**', ...GROUND],
    why: '`dialers` sees every protocol; listener, splice and tunnel are what services use',
  },
  {
    folder: 'providers/<p>/sdk',
    may: [],
    packages: [
      '@aws-sdk/client-cloudtrail',
      '@aws-sdk/client-cloudwatch-logs',
      '@aws-sdk/client-ec2',
      '@aws-sdk/client-ec2-instance-connect',
      '@aws-sdk/client-iam',
      '@aws-sdk/client-kms',
      '@aws-sdk/client-rds',
      '@aws-sdk/client-secrets-manager',
      '@aws-sdk/client-ssm',
      '@aws-sdk/client-sso-admin',
      '@aws-sdk/client-sso-oidc',
      '@aws-sdk/client-sts',
      '@aws-sdk/credential-provider-node',
      '@aws-sdk/rds-signer',
      '@smithy/node-http-handler',
      '@smithy/shared-ini-file-loader',
      '@smithy/signature-v4',
      'google-auth-library',
      'ini',
    ],
    node: [],
    why: 'the build bundles these modules, so they hold re-exports and nothing else may name an SDK package',
  },
  {
    folder: 'providers/<p>/policy',
    may: ['providers/{provider,policy-author}.ts', 'providers/<p>/**', 'onboarding/core/**', ...GROUND],
    why: 'permissions in the words of one cloud; what they allow is judged by the evaluators that the lab enforces with',
  },
  {
    folder: 'providers/<p>',
    may: ['providers/{provider,policy-author,stored-login}.ts', 'providers/<p>/**', ...GROUND],
    why: 'a cloud meets a protocol only in domain/ (ticket, dialer, audit sink)',
  },
  { folder: 'providers', may: ['providers/**', ...GROUND], why: '`registry` sees every cloud' },
  {
    folder: 'config/import',
    may: ['config/**', ...GROUND],
    packages: ['yaml', 'ini', 'ssh-config'],
    why: 'the files of other programs, in the words of ours',
  },
  { folder: 'config', may: ['config/**', ...GROUND], packages: ['yaml', 'zod'], why: 'disk and schema' },
  { folder: 'audit', may: ['audit/**', ...GROUND], why: 'disk' },
  {
    folder: 'broker',
    may: ['broker/core/**', 'providers/provider.ts', 'transport/tunnel.ts', 'config/**', 'audit/**', ...GROUND],
    why: 'the one path to a tunnel, by interfaces; what is behind them is injected by compose',
  },
  {
    folder: 'forward',
    may: [
      'forward/core/**',
      'broker/**',
      'providers/provider.ts',
      'transport/{tunnel,splice,listener,peer-watch,local-memory}.ts',
      'audit/**',
      ...GROUND,
    ],
    why: 'a front end takes a Dialer: no SDK, no websocket, no terminal',
  },
  {
    folder: 'ssh',
    may: ['ssh/**', 'broker/**', 'providers/provider.ts', 'transport/{tunnel,splice,listener}.ts', ...GROUND],
    packages: ['ssh2'],
    why: 'SSH over the stream of a Dialer, and a Dialer over SSH: no SDK, no websocket, no command',
  },
  {
    folder: 'socks',
    may: [
      'socks/core/**',
      'forward/{forward-types,local-client,service-life}.ts',
      'broker/**',
      'transport/{tunnel,splice,listener,peer-watch,local-memory}.ts',
      ...GROUND,
    ],
    why: 'a front end takes a Dialer; the life of a local port, and its clients, are the ones of `forward`',
  },
  {
    folder: 'expose',
    may: [
      'expose/core/**',
      'forward/core/limits.ts',
      'forward/{forward-types,local-client,service-life}.ts',
      'ssh/**',
      'broker/**',
      'transport/{tunnel,splice,listener,peer-watch,local-memory}.ts',
      ...GROUND,
    ],
    why: 'far ports that lead here, by a login to the target; the life of a service is the one of `forward`',
  },
  {
    folder: 'plan',
    may: [
      'broker/**',
      'forward/**',
      'socks/**',
      'providers/provider.ts',
      'transport/{tunnel,peer-watch,local-memory}.ts',
      'config/**',
      ...GROUND,
    ],
    why: 'from what a person or the catalogue says to what is opened; commands, the supervisor and the library share it',
  },
  {
    folder: 'supervisor',
    may: ['supervisor/core/**', ...SERVICES, 'providers/provider.ts', 'config/**', ...GROUND],
    packages: ['zod'],
    why: 'it runs the services, and they do not know of it; `compose` is handed in (zod checks what comes over its socket)',
  },
  {
    folder: 'monitor',
    may: ['forward/forward-types.ts', 'transport/listener.ts', ...GROUND],
    packages: ['prom-client'],
    why: 'how tunnels are, for programs outside: it looks at their status and knows nothing else of them',
  },
  {
    folder: 'library',
    may: [
      'compose.ts',
      'plan/**',
      'broker/**',
      'forward/**',
      'cli/present/{event-json,event-schema,orphan-note}.ts',
      'transport/local-memory.ts',
      'config/**',
      ...GROUND,
    ],
    why: 'the same path to a tunnel as the commands, without a command line: events are the objects of `--json`',
  },
  {
    folder: 'exec',
    may: ['exec/core/**', 'plan/**', 'broker/**', 'forward/**', 'providers/provider.ts', 'config/**', ...GROUND],
    why: 'tunnels for the time of one command, and what its clients read; no terminal: commands and the library say how it looks',
  },
  {
    folder: 'lab',
    may: ['lab/**', '**/core/**', ...GROUND],
    packages: ['ws', 'ssh2', 'mysql2', '@electric-sql/pglite', 'zod'],
    why: 'the far side of the wire shares the codecs and nothing else with the near side; it checks its fault settings with zod',
  },
  {
    folder: 'cli',
    may: [
      'cli/**',
      'compose.ts',
      ...SERVICES,
      'supervisor/**',
      'config/**',
      'audit/**',
      'providers/provider.ts',
      ...GROUND,
    ],
    packages: ['@oclif/core', 'cli-table3', '@inquirer/prompts', 'zod'],
    why: 'the real World is made here; results become text or JSON here (zod writes the published JSON schemas)',
  },
  {
    folder: 'fast',
    may: [
      'fast/**',
      'cli/**',
      'compose.ts',
      ...SERVICES,
      'supervisor/**',
      'config/**',
      'audit/**',
      'providers/provider.ts',
      ...GROUND,
    ],
    why: 'the short way to a stream on the standard streams: as a command, without the command line framework',
  },
  {
    folder: 'commands/lab',
    may: ['lab/**', 'cli/**', 'compose.ts', 'config/**', ...GROUND],
    packages: ['@oclif/core'],
    why: 'with `demo`, the only commands that know the lab',
  },
  {
    folder: 'commands',
    may: [
      'cli/**',
      'fast/**',
      'compose.ts',
      ...SERVICES,
      'supervisor/**',
      'config/**',
      'audit/**',
      'providers/provider.ts',
      ...GROUND,
    ],
    packages: ['@oclif/core'],
    why: 'parse, call, present',
  },
  {
    folder: '.',
    may: [
      'library/**',
      'broker/**',
      'forward/**',
      'ssh/**',
      'plan/**',
      'providers/**',
      'transport/**',
      'config/**',
      'audit/**',
      ...GROUND,
    ],
    why: '`compose` sees the whole, lazily',
  },
];

/** Single files that their folder's row does not cover, each with its reason. */
export const IMPORT_EXCEPTIONS: readonly {
  readonly file: string;
  readonly may: readonly string[];
  readonly why: string;
}[] = [{ file: 'commands/demo.ts', may: ['lab/**'], why: 'the story runs on the embedded lab' }];
