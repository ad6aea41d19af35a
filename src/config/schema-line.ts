/** How the JSON Schema is named beside a cloudtun.yaml. */
export const SCHEMA_FILE = 'cloudtun.schema.json';
/** The first line of a catalogue, by which editors complete and check it (they share the YAML language server). */
export const SCHEMA_LINE = `# yaml-language-server: $schema=${SCHEMA_FILE}`;
