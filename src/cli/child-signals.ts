import type { Millis } from '../domain/millis.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { hasKeyboardSignals, type RunningChild } from '../runtime/run-child.ts';
import type { Interruption } from './interruption.ts';

/** Those that a shell or an operator may send besides the ones that end us. */
const OTHERS = ['SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGCONT'] as const;
/** What the keyboard sends to the whole process group, so that the command has it already. */
const FROM_KEYBOARD: readonly string[] = ['SIGINT', 'SIGQUIT'];
/** After these a command that goes on is killed when its time is over. Ctrl-C means something else in many a client. */
const ENDING: readonly string[] = ['SIGTERM', 'SIGHUP'];

/**
 * Passes signals on to a command while it runs. What it does about them is its own matter, but for one thing: after SIGTERM or
 * SIGHUP it has `grace` to end, then it is killed, so that our tunnels are closed before somebody kills us.
 *
 * @param onKilled called when it is killed
 */
export function passSignals(
  child: Pick<RunningChild, 'kill'>,
  interruption: Pick<Interruption, 'relayTo'>,
  { clock, grace, onKilled }: { readonly clock: Clock; readonly grace: Millis; readonly onKilled: () => void },
): Disposable {
  let timer: Timer | undefined;
  const pass = (signal: NodeJS.Signals) => {
    if (FROM_KEYBOARD.includes(signal) && hasKeyboardSignals()) return;
    child.kill(signal);
    if (!ENDING.includes(signal)) return;
    timer ??= clock.after(grace, () => {
      onKilled();
      child.kill('SIGKILL');
    });
  };
  const relay = interruption.relayTo(pass);
  for (const signal of OTHERS) process.on(signal, pass);
  return {
    [Symbol.dispose]: () => {
      timer?.cancel();
      for (const signal of OTHERS) process.off(signal, pass);
      relay[Symbol.dispose]();
    },
  };
}
