import type { Hook } from '@oclif/core';
import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';

/** oclif's hook for a command that does not exist: a usage error with the nearest names, and never a question. */
const commandNotFound: Hook.CommandNotFound = async ({ id, config }) => {
  const typed = id.replaceAll(':', ' ');
  const known = config.commands.filter((command) => !command.hidden).map((command) => command.id.replaceAll(':', ' '));
  const near = nearestNames(typed, known).map((name) => `cloudtun ${name}`);
  throw new CloudtunError('CT_USAGE', `there is no command "${typed}"`, {
    hint: [...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []), 'see all: cloudtun --help'],
  });
};

export default commandNotFound;
