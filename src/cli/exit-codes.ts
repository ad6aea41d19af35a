/** What a user reads about the exit code of a command (spec section 6): the root help and the reference are made of it. */
export const EXIT_CODES: readonly (readonly [code: string, meaning: string])[] = [
  ['0', 'success; also when a time limit or the idle limit closed the tunnel'],
  ['1', 'unexpected'],
  ['2', 'usage or configuration'],
  ['3', 'no or expired credentials'],
  ['4', 'denied by the cloud'],
  ['5', 'target not found or ambiguous'],
  ['6', 'target not ready (agent offline, VM stopped, port refused)'],
  ['7', 'local port or socket trouble'],
  ['8', 'network, proxy or TLS trouble'],
  ['9', 'tunnel lost after being ready'],
  ['10', 'timed out'],
  ['11', 'refused by local policy or allow-list'],
  ['128+n', 'ended by signal n: 130 is Ctrl-C'],
];

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** The signals that end a command in order. */
export type EndingSignal = keyof typeof SIGNAL_NUMBERS;
export const ENDING_SIGNALS = Object.keys(SIGNAL_NUMBERS) as readonly EndingSignal[];

export function exitCodeOfSignal(signal: EndingSignal): number {
  return 128 + SIGNAL_NUMBERS[signal];
}
