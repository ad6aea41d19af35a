import { Args, Flags } from '@oclif/core';
import { BaseCommand } from '../cli/base-command.ts';
import { heldJson } from '../cli/present/held-lines.ts';
import { loadCatalogue } from '../config/load.ts';
import { parseDuration } from '../domain/duration.ts';
import { CloudtunError } from '../domain/errors.ts';
import type { Millis } from '../domain/millis.ts';
import { expandGroups } from '../plan/named-plan.ts';
import { listHeld } from '../supervisor/control-client.ts';
import { supervisorPaths } from '../supervisor/paths.ts';
import type { HeldStatus } from '../supervisor/protocol.ts';
import { leftBehind } from '../supervisor/state-record.ts';

/** A supervisor on this machine; another process may be about to start it, which nothing tells. */
const POLL: Millis = 100;

export default class Wait extends BaseCommand {
  static override summary = 'wait until tunnels that are held in the background are ready';
  static override description =
    'Ends with 0 when all of them are ready or listen on demand, with 9 when one was lost, with 10 when the time is over. Tunnels that are not held yet are waited for too.';
  static override examples = [
    '<%= config.bin %> wait prod --timeout 30s',
    '<%= config.bin %> wait dev --timeout 2m --quiet',
  ];
  static override args = {
    names: Args.string({
      description: 'tunnels or groups of cloudtun.yaml',
      required: true,
      multiple: true,
      ignoreStdin: true,
    }),
  };
  static override flags = {
    timeout: Flags.string({
      description: 'how long, or none',
      default: '30s',
      env: 'CLOUDTUN_TIMEOUT',
      helpValue: 'TIME',
    }),
  };

  async run(): Promise<readonly ReturnType<typeof heldJson>[]> {
    const { args, flags } = await this.parse(Wait);
    const limit = parseDuration(flags.timeout, '--timeout') ?? Number.POSITIVE_INFINITY;
    const names = expandGroups(args.names ?? [], await loadCatalogue(this.world));
    const { clock } = this.world;
    const end = clock.now() + limit;
    this.terminal.progress(`waiting for ${names.join(', ')} ...`);
    const { state } = supervisorPaths(this.world);
    for (let wasThere = false; ; ) {
      const held = await listHeld(this.world);
      // One that is gone from the start may be about to be started again.
      if (held === undefined && wasThere) throwIfLost(state, names);
      wasThere = held !== undefined;
      const found = names.map((name) => held?.tunnels.find((tunnel) => tunnel.name === name));
      const lost = found.find((tunnel) => tunnel?.state === 'lost');
      if (lost) throw lostError(lost);
      const missing = names.filter((_, index) => !isThere(found[index]));
      if (missing.length === 0) return this.#ready(found.filter((tunnel) => tunnel !== undefined));
      if (clock.now() + POLL > end) {
        if (held === undefined) throwIfLost(state, missing);
        throw late(missing, flags.timeout);
      }
      await clock.sleep(POLL, this.signal);
    }
  }

  #ready(tunnels: readonly HeldStatus[]): readonly ReturnType<typeof heldJson>[] {
    if (!this.jsonEnabled()) {
      for (const { name, local, target } of tunnels) this.terminal.result(`ready ${local[0]} -> ${target} (${name})`);
    }
    return tunnels.map(heldJson);
  }
}

const isThere = (tunnel: HeldStatus | undefined) => tunnel?.state === 'ready' || tunnel?.state === 'waiting';

/** @throws CT_TUNNEL_LOST when the supervisor that held one of them was killed */
function throwIfLost(state: string, names: readonly string[]): void {
  const left = leftBehind(state);
  const name = names.find((each) => left?.names.includes(each));
  if (left === undefined || name === undefined) return;
  throw new CloudtunError('CT_TUNNEL_LOST', `${name} was lost: the supervisor (pid ${left.process.pid}) is gone`, {
    hint: `bring it back with: cloudtun up ${name}`,
  });
}

function lostError({ name, lastTrouble }: HeldStatus): CloudtunError {
  return new CloudtunError('CT_TUNNEL_LOST', `${name} was lost${lastTrouble ? `: ${lastTrouble.message}` : ''}`, {
    hint: `bring it back with: cloudtun up ${name}`,
  });
}

function late(names: readonly string[], limit: string): CloudtunError {
  return new CloudtunError('CT_TIMEOUT', `${names.join(', ')} not ready within ${limit}`, {
    hint: `see why: cloudtun status ${names[0]}`,
  });
}
