import { CloudtunError } from '../../domain/errors.ts';
import type { World } from '../../runtime/world.ts';
import type { CloudSelection, Prompts, Provider } from '../provider.ts';

export async function gcpProvider(
  _world: World,
  _selection: CloudSelection,
  _prompts: Prompts = {},
): Promise<Provider> {
  throw new CloudtunError('CT_USAGE', 'this version does not reach Google Cloud');
}
