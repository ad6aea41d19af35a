import { splitCloudPrefix } from '../domain/cloud-prefix.ts';
import { CloudtunError } from '../domain/errors.ts';

/** What `cp SOURCE… DESTINATION` says: which machine, and what goes where. */
export interface CopyPlan {
  readonly direction: 'up' | 'down';
  /** `[USER@]TARGET` */
  readonly machine: string;
  readonly sources: readonly string[];
  readonly target: string;
}

interface FarSide {
  readonly machine: string;
  readonly path: string;
}

const DATABASES = /^(sql|rds|elasticache|ecs):/;
/** Three parts, the middle one a zone: the one TARGET with slashes (spec section 3) that is a machine. */
const INSTANCE_PATH = /^[a-z][a-z0-9.:-]*\/[a-z]+-[a-z]+\d+-[a-z]\/[a-z][a-z0-9-]*$/;

/**
 * Tells the sides apart: exactly one of them is a machine's.
 *
 * @throws CT_USAGE that says how to write what was meant
 */
export function copyPlan(words: readonly string[], platform: string): CopyPlan {
  const target = words.at(-1);
  const sources = words.slice(0, -1);
  if (target === undefined || sources.length === 0) {
    throw new CloudtunError('CT_USAGE', 'cp wants a source and a destination', {
      hint: 'for example: cloudtun cp ./app.conf web-1:/etc/app/',
    });
  }
  const farTarget = farSide(target, platform);
  const farSources = sources.map((source) => farSide(source, platform));
  if (farTarget) {
    if (farSources.some((side) => side !== undefined)) throw bothSides('far');
    return { direction: 'up', machine: farTarget.machine, sources, target: farTarget.path };
  }
  const [first] = farSources;
  if (first === undefined || farSources.includes(undefined)) throw bothSides('here');
  if (farSources.some((side) => side?.machine !== first.machine)) {
    throw new CloudtunError('CT_USAGE', 'the sources are on several machines', {
      hint: 'copy from one after the other',
    });
  }
  return { direction: 'down', machine: first.machine, sources: farSources.map((side) => side!.path), target };
}

/** Undefined for a path of this machine: what begins as one, and what has no colon before its first slash. */
function farSide(text: string, platform: string): FarSide | undefined {
  if (/^(\.{0,2}\/|~\/)/.test(text)) return undefined;
  if (platform === 'win32' && /^([A-Za-z]:|[^:]*\\)/.test(text)) return undefined;
  const [, user = '', named = ''] = /^([A-Za-z_][\w.-]*@)?([\s\S]*)$/.exec(text) ?? [];
  const { cloud, text: rest } = splitCloudPrefix(named);
  const form = /^(tag|asg):/.exec(rest)?.[0] ?? '';
  const kind = DATABASES.exec(rest)?.[1];
  if (kind !== undefined) {
    throw new CloudtunError('CT_USAGE', `${text} names no machine, and only machines have files`, {
      hint: `a file of this name on this side: ./${text}`,
    });
  }
  const colon = rest.indexOf(':', form.length);
  const name = colon === -1 ? rest : rest.slice(0, colon);
  const isSaidFar = cloud !== undefined || user !== '' || form !== '';
  if (!isSaidFar && (name === '' || (name.includes('/') && !INSTANCE_PATH.test(name)))) return undefined;
  if (colon === -1) {
    if (cloud === undefined && form === '') return undefined;
    throw new CloudtunError('CT_USAGE', `${text} names a machine and no path on it`, {
      hint: [`its home folder: ${text}:`, `a file of this name on this side: ./${text}`],
    });
  }
  const path = rest.slice(colon + 1);
  // A value of a tag may have colons of its own, and so may a path.
  if (form === 'tag:' && path.includes(':') && !/^[/~.]/.test(path)) {
    throw new CloudtunError('CT_USAGE', `where does the tag end in ${text}?`, {
      hint: 'begin the path with /, ~/ or ./, or name the machine by its id',
    });
  }
  return { machine: text.slice(0, text.length - path.length - 1), path };
}

function bothSides(side: 'here' | 'far'): CloudtunError {
  return side === 'here'
    ? new CloudtunError('CT_USAGE', 'neither side names a machine', {
        hint: ['write the machine before the path: cloudtun cp web-1:/var/log/app.log .', 'on this side alone: cp'],
      })
    : new CloudtunError('CT_USAGE', 'both sides name a machine, and one has to be this one', {
        hint: ['copy here first, then there', 'a path of this side that has a colon begins with ./'],
      });
}

/** One word for a shell, as a person would write it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command that goes on with an interrupted copy. @param argv of it, without its name */
export function resumeCommand(argv: readonly string[]): string {
  return ['cloudtun cp --resume', ...argv.filter((word) => word !== '--resume').map(shellWord)].join(' ');
}
