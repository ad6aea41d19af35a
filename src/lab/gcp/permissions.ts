import { matchesPattern } from '../core/wildcard.ts';
import type { GcpInventory } from './inventory.ts';

/** Whether somebody may do something. Nobody that the inventory does not know may do anything. @param resource `projects/…` */
export function mayDo(inventory: GcpInventory, email: string, permission: string, resource: string): boolean {
  const person = inventory.people.find((one) => one.email === email);
  if (person === undefined) return false;
  return !person.denied.some(
    (denial) => matchesPattern(denial.permission, permission) && matchesPattern(denial.resource ?? '*', resource),
  );
}
