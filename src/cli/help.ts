import { CommandHelp, Help, type HelpSectionRenderer } from '@oclif/core';
import { EXIT_CODES } from './exit-codes.ts';

type Section = { header: string; generate: HelpSectionRenderer };

/** Examples before anything else: what most people open a help page for. */
class ExamplesFirst extends CommandHelp {
  protected override sections(): Section[] {
    const sections = super.sections();
    const isExamples = (section: Section) => section.header === 'EXAMPLES';
    return [...sections.filter(isExamples), ...sections.filter((section) => !isExamples(section))];
  }
}

const FIRST_STEPS = [
  '$ cloudtun demo                        the whole story in a minute, without an account',
  '$ cloudtun rds prod --port 13306       a private database on 127.0.0.1:13306',
  '$ cloudtun sql reports --port 15432    the same on Google Cloud',
  '$ cloudtun forward web-1 -L 8080:80    a port of a private machine, in either cloud',
  '$ cloudtun targets                     what can be reached',
];

/** The help of cloudtun: examples first, the root page with what the exit codes mean. */
export default class CloudtunHelp extends Help {
  protected override CommandHelpClass = ExamplesFirst;

  override formatRoot(): string {
    return `${this.section('EXAMPLES', FIRST_STEPS.join('\n'))}\n\n${super.formatRoot()}`;
  }

  protected override async showRootHelp(): Promise<void> {
    await super.showRootHelp();
    this.log(
      this.section(
        'EXIT CODES',
        EXIT_CODES.map(([name, description]) => ({ name, description })),
      ),
    );
  }
}
