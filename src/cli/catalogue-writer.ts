import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SCHEMA_FILE } from '../config/schema-line.ts';
import { CloudtunError } from '../domain/errors.ts';
import { askWhich } from './ask.ts';
import { BaseCommand } from './base-command.ts';
import { printable } from './present/printable.ts';
import { plural } from './present/tunnel-lines.ts';

/** A command that proposes a cloudtun.yaml, and writes it when told to. */
export abstract class CatalogueWriter extends BaseCommand {
  /**
   * Shows the file and asks, unless that is agreed already.
   *
   * @throws CT_USAGE where nobody can be asked
   */
  protected async agreesTo(text: string, isAgreed: boolean): Promise<boolean> {
    if (isAgreed) return true;
    const command = `cloudtun ${this.ctor.id.replaceAll(':', ' ')}`;
    if (!this.terminal.canAsk) {
      throw new CloudtunError('CT_USAGE', 'nobody is there to be asked whether the file is to be written', {
        hint: [`write it: ${command} --yes`, `see it: ${command} --dry-run`],
      });
    }
    for (const line of text.trimEnd().split('\n')) this.terminal.note(printable(line));
    const choices = [
      { value: 'yes', name: 'yes' },
      { value: 'no', name: 'no, leave everything as it is' },
    ];
    return (await askWhich('Write this file?', choices, this.signal)) === 'yes';
  }

  /** Writes the catalogue, and beside it the schema that its first line names. @param count of new targets */
  protected async writeFile(file: string, text: string, count: number): Promise<void> {
    const { catalogueJsonSchema } = await import('../config/json-schema.ts');
    await writeFile(join(dirname(file), SCHEMA_FILE), `${JSON.stringify(catalogueJsonSchema(), undefined, 2)}\n`);
    await writeFile(file, text);
    if (this.jsonEnabled()) return;
    this.terminal.result(
      printable(`wrote ${file} with ${plural(count, 'new target')}, and ${SCHEMA_FILE} for editors`),
    );
    this.terminal.note('  what it says: cloudtun config show --origin');
  }
}
