import { BaseCommand } from '../../cli/base-command.ts';
import { SCHEMA_FILE, SCHEMA_LINE } from '../../config/schema-line.ts';

export default class ConfigSchema extends BaseCommand {
  static override summary = 'print the JSON Schema of cloudtun.yaml, for editors';
  static override description = `Editors complete and check the file with it when its first line is: ${SCHEMA_LINE}`;
  static override examples = [`<%= config.bin %> config schema > ${SCHEMA_FILE}`];

  async run(): Promise<object> {
    await this.parse(ConfigSchema);
    const { catalogueJsonSchema } = await import('../../config/json-schema.ts');
    const schema = catalogueJsonSchema();
    if (!this.jsonEnabled()) this.terminal.result(JSON.stringify(schema, undefined, 2));
    return schema;
  }
}
