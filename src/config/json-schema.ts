import { z } from 'zod';
import { catalogueSchema } from './schema.ts';

/** JSON Schema of cloudtun.yaml. What only this program can check (names, forms of targets) is not in it. */
export function catalogueJsonSchema(): object {
  const schema = z.toJSONSchema(catalogueSchema, { target: 'draft-07', io: 'input' });
  return { ...schema, title: 'cloudtun.yaml', description: 'what cloudtun opens, for whom, and within which limits' };
}
