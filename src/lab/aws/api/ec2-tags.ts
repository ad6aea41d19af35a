import { requestTags, resourceTags } from '../iam/iam-gate.ts';
import type { Tags } from '../inventory.ts';
import { type ApiCall, type ApiContext, type QueryOperation, regionalInventory } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import type { QueryParameters } from './query-parameters.ts';

/** CreateTags and DeleteTags, of machines: whoever may call them may move a machine into a grant that goes by tags. */
export function ec2TagOperations(context: ApiContext): Readonly<Record<string, QueryOperation>> {
  const resources = (input: QueryParameters, call: ApiCall) => {
    const inventory = regionalInventory(context, call);
    return input.list('ResourceId').map((id) => {
      const found = inventory.instances.find((one) => one.id === id);
      const tags = found === undefined ? {} : { Name: found.name, ...found.tags };
      return {
        arn: `arn:aws:ec2:${call.region}:${inventory.account}:instance/${id}`,
        context: resourceTags('ec2', tags),
      };
    });
  };
  const change = (input: QueryParameters, call: ApiCall, vary: (tags: Tags) => Tags) => {
    const ids = input.list('ResourceId');
    const known = regionalInventory(context, call).instances;
    const unknown = ids.find((id) => !known.some((one) => one.id === id));
    if (unknown !== undefined) {
      throw new AwsFault('InvalidInstanceID.NotFound', 400, `The instance ID '${unknown}' does not exist`);
    }
    context.change((inventory) => ({
      ...inventory,
      instances: inventory.instances.map((one) => {
        if (!ids.includes(one.id)) return one;
        const { Name: name = '', ...tags } = vary({ Name: one.name, ...one.tags });
        return { ...one, name, tags };
      }),
    }));
    return { return: true };
  };
  return {
    CreateTags: {
      resources,
      context: (input) => requestTags(readTags(input)),
      run: (input, call) => change(input, call, (tags) => ({ ...tags, ...readTags(input) })),
    },
    DeleteTags: {
      resources,
      context: (input) => requestTags(readTags(input)),
      run: (input, call) => {
        const gone = Object.keys(readTags(input));
        const kept = (tags: Tags) => Object.fromEntries(Object.entries(tags).filter(([key]) => !gone.includes(key)));
        return change(input, call, kept);
      },
    },
  };
}

/** `Tag.1.Key`, `Tag.1.Value` */
function readTags(input: QueryParameters): Tags {
  const tags: Record<string, string> = {};
  for (let index = 1; ; index += 1) {
    const key = input.get(`Tag.${index}.Key`);
    if (key === undefined) return tags;
    tags[key] = input.get(`Tag.${index}.Value`) ?? '';
  }
}
