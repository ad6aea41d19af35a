import { Interrupted } from './interruption.ts';

/*
 * Questions to a person. Callers have checked `Terminal.canAsk`. The prompts are loaded on first use and drawn on stderr, since
 * stdout carries results only.
 */

/** The strictest of the clouds, as the broker has it. */
const REASON_LIMIT = 256;

export interface Choice {
  readonly value: string;
  readonly name: string;
}

/** Lets a person choose one of a few; the answer is the `value`. */
export async function askWhich(question: string, choices: readonly Choice[], signal: AbortSignal): Promise<string> {
  const { select } = await import('@inquirer/prompts');
  return answer(select({ message: question, choices: [...choices] }, context(signal)), signal);
}

/** The current code of an MFA device. */
export async function askMfaCode(device: string, signal: AbortSignal): Promise<string> {
  const { input } = await import('@inquirer/prompts');
  const config = {
    message: `MFA code of ${device}:`,
    validate: (text: string) => /^\d{6}$/.test(text.trim()) || 'six digits',
  };
  return (await answer(input(config, context(signal)), signal)).trim();
}

/** Why somebody connects, where the policy wants to know. */
export async function askReason(target: string, signal: AbortSignal): Promise<string> {
  const { input } = await import('@inquirer/prompts');
  const config = {
    message: `The policy wants a reason for ${target}:`,
    validate: (text: string) => {
      const { length } = text.trim();
      return (length > 0 && length <= REASON_LIMIT) || `1 to ${REASON_LIMIT} characters`;
    },
  };
  return (await answer(input(config, context(signal)), signal)).trim();
}

function context(signal: AbortSignal) {
  return { signal, output: process.stderr, clearPromptOnDone: true };
}

/** The prompts put the terminal into raw mode, where Ctrl-C is a key and no signal: they answer it with an error of their own. */
async function answer<T>(prompt: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await prompt;
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'ExitPromptError') throw Interrupted.by('SIGINT');
    throw signal.aborted ? signal.reason : thrown;
  }
}
