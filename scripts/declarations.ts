/**
 * The declarations of the library as one file: those of src/index.ts and of what it re-exports, as `tsc` wrote them, one after the
 * other. Only what index.ts names is exported; what its types lean on is in the file and stays unexported.
 *
 * It knows the few forms that a declaration file of ours has, and refuses the others: a type that is public by accident stops the build.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What may be in reach of index.ts; more is a leak of internals. */
const PUBLIC =
  /^(index|library\/tunnel-types|library\/tunnel-event|library\/open-tunnel|domain\/errors|domain\/error-catalogue|domain\/millis)\.d\.ts$/;

const RELATIVE = /^(?:import|export) (?:type )?\{[^}]*\} from '(\.[^']+)\.ts';\n/gm;
const BUILTIN = /^import type \{[^}]*\} from 'node:[^']+';\n/gm;

/** @param compiled folder with the output of tsc */
export function libraryDeclarations(compiled: string): string {
  const index = readFileSync(join(compiled, 'index.d.ts'), 'utf8');
  const names = [...index.matchAll(/^export (type )?\{([^}]*)\} from/gm)].flatMap(([, isType, list = '']) =>
    list
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '')
      .map((name) => (isType === undefined ? name : `type ${name}`)),
  );
  if (names.some((name) => / as /.test(name))) throw new Error('index.ts renames what it exports');
  const bodies = new Map<string, string>();
  collect(compiled, 'index.d.ts', bodies);
  const builtins = new Set([...bodies.values()].flatMap((body) => body.match(BUILTIN) ?? []));
  const text = [...bodies]
    .filter(([file]) => file !== 'index.d.ts')
    .map(([, body]) => body.replaceAll(BUILTIN, '').replaceAll(/^export (?=declare|interface|type \w)/gm, 'declare '))
    .map((body) => body.replaceAll('declare declare ', 'declare ').trim());
  const declarations = [[...builtins].join(''), ...text, `export { ${names.join(', ')} };`].join('\n\n');
  const left = /\bfrom '\.|import\('\./.exec(declarations);
  if (left) throw new Error(`a declaration still names a file: ${declarations.slice(left.index, left.index + 80)}`);
  return `${declarations}\n`;
}

/** Files in the order in which they lean on each other. */
function collect(compiled: string, file: string, bodies: Map<string, string>): void {
  if (bodies.has(file)) return;
  if (!PUBLIC.test(file)) throw new Error(`the public types lead to ${file}, which is internal`);
  const source = readFileSync(join(compiled, file), 'utf8');
  bodies.set(file, '');
  for (const [, specifier = ''] of source.matchAll(RELATIVE)) {
    collect(compiled, join(dirname(file), `${specifier}.d.ts`), bodies);
  }
  bodies.delete(file);
  bodies.set(file, source.replaceAll(RELATIVE, '').replaceAll(/^export \{\};\n/gm, ''));
}
