import { z } from 'zod';
import { changeDatabase, changeInstance, failOver, type Inventory, type LabInstance } from './aws/inventory.ts';

/*
 * What may happen to the practice account while the lab runs, as one JSON value of the control endpoint: machines that stop or are
 * replaced, databases that fail over, credentials that end before their time.
 */

const name = z.string().min(1);

const changeSchema = z.strictObject({
  /** By name or id. */
  machines: z
    .record(name, z.strictObject({ state: z.enum(['pending', 'running', 'stopping', 'stopped', 'terminated']) }))
    .optional(),
  /** A machine is terminated, and another one with its name, tags and services takes its place: its id. */
  replace: z.record(name, z.string().regex(/^i-[0-9a-f]{17}$/)).optional(),
  databases: z
    .record(name, z.strictObject({ privateIp: z.ipv4().optional(), zone: name.optional(), status: name.optional() }))
    .optional(),
  /** The new writer of a cluster. */
  writers: z.record(name, name).optional(),
  /** Every temporary key ends now. */
  expireKeys: z.literal(true).optional(),
});

export interface AccountChange {
  readonly vary: (inventory: Inventory) => Inventory;
  readonly expiresKeys: boolean;
}

/** @throws when it is wrong; a name that nothing has shows when `vary` is called */
export function readAccountChange(value: unknown): AccountChange {
  const { machines = {}, replace = {}, databases = {}, writers = {}, expireKeys } = changeSchema.parse(value);
  const steps: ((inventory: Inventory) => Inventory)[] = [
    ...Object.entries(machines).map(
      ([which, change]) =>
        (one: Inventory) =>
          changeInstance(one, which, change),
    ),
    ...Object.entries(replace).map(
      ([which, id]) =>
        (one: Inventory) =>
          replaceInstance(one, which, id),
    ),
    ...Object.entries(databases).map(([which, { privateIp, zone, status }]) => {
      const change = {
        ...(privateIp !== undefined && { privateIp }),
        ...(zone !== undefined && { zone }),
        ...(status !== undefined && { status }),
      };
      return (one: Inventory) => changeDatabase(one, which, change);
    }),
    ...Object.entries(writers).map(
      ([cluster, writer]) =>
        (one: Inventory) =>
          failOver(one, cluster, writer),
    ),
  ];
  return {
    vary: (inventory) => steps.reduce((now, step) => step(now), inventory),
    expiresKeys: expireKeys === true,
  };
}

/** An inventory in which a machine is terminated and another one of its kind runs in its place. Throws when there is none. */
export function replaceInstance(inventory: Inventory, nameOrId: string, id: string): Inventory {
  const before = inventory.instances.find((one) => one.name === nameOrId || one.id === nameOrId);
  if (before === undefined) throw new RangeError('nothing in the inventory has this name');
  const after: LabInstance = { ...before, id, state: 'running' };
  const gone = changeInstance(inventory, before.id, { state: 'terminated' });
  return { ...gone, instances: [...gone.instances, after] };
}
