import { CloudtunError } from '../domain/errors.ts';
import { nearestNames } from '../domain/nearest.ts';
import type { World } from '../runtime/world.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import type { HeldStatus } from '../supervisor/protocol.ts';
import { leftBehind } from '../supervisor/state-record.ts';

/** No tunnel of this name is held: what is, and what was. */
export function notHeld(world: World, name: string, held: readonly HeldStatus[] = []): CloudtunError {
  const left = leftBehind(supervisorPaths(world).state);
  const wasHeld = left?.names.includes(name) === true;
  const near = nearestNames(
    name,
    held.map((each) => each.name),
    3,
  );
  return new CloudtunError('CT_NOT_HELD', `no tunnel called "${name}" is held`, {
    ...(wasHeld && { details: [['before', `the supervisor that held it (pid ${left.process.pid}) is gone`]] }),
    hint: [...(near.length > 0 ? [`did you mean: ${near.join(', ')}`] : []), `bring it up with: cloudtun up ${name}`],
  });
}
