import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Flags } from '@oclif/core';
import { askWhich } from '../cli/ask.ts';
import { BaseCommand } from '../cli/base-command.ts';
import { configHosts } from '../cli/config-hosts.ts';
import { ownCommand } from '../cli/own-command.ts';
import { loadCatalogue, PROJECT_FILE } from '../config/load.ts';
import { CloudtunError } from '../domain/errors.ts';
import { writePrivateFile } from '../runtime/state-file.ts';
import { clientConfig, namesOf } from '../ssh/client-config.ts';
import { includeLine, includes, ownHosts, withInclude, withoutInclude } from '../ssh/include-line.ts';
import { UserConfig } from '../ssh/user-config.ts';

/** What `--json` prints. */
interface SshConfigJson {
  readonly file: string;
  /** Whether the user's own config includes the file. */
  readonly included: boolean;
  readonly config: string;
  readonly hosts: readonly { readonly names: readonly string[]; readonly user?: string; readonly remark: string }[];
}

export default class SshConfig extends BaseCommand {
  static override summary = 'let ssh, scp, sftp, rsync and Ansible reach machines by name';
  static override description =
    'Writes a file that your ~/.ssh/config includes: the machines of cloudtun.yaml by their names, and every other one as ' +
    'NAME.cloudtun, i-… or mi-…. ssh then connects through cloudtun, with a new key that the cloud lets in for this login, and ' +
    'with checked host keys. Your own blocks stay as they are. Run it again when the machines of cloudtun.yaml change.';
  static override examples = [
    '<%= config.bin %> ssh-config',
    '<%= config.bin %> ssh-config --install && ssh web-1.cloudtun',
    '<%= config.bin %> ssh-config --print',
    '<%= config.bin %> ssh-config --uninstall',
  ];
  static override flags = {
    install: Flags.boolean({
      env: 'CLOUDTUN_SSH_CONFIG_INSTALL',
      description: 'add the line that includes it to ~/.ssh/config without asking',
      exclusive: ['print', 'uninstall'],
    }),
    uninstall: Flags.boolean({
      env: 'CLOUDTUN_SSH_CONFIG_UNINSTALL',
      description: 'take the line and the file away',
      exclusive: ['print'],
    }),
    print: Flags.boolean({
      env: 'CLOUDTUN_SSH_CONFIG_PRINT',
      description: 'show what would be written, and write nothing',
    }),
  };

  async run(): Promise<SshConfigJson> {
    const { flags } = await this.parse(SshConfig);
    if (this.world.platform === 'win32') {
      throw new CloudtunError('CT_USAGE', 'OpenSSH on Windows finds no agent by the path of a socket', {
        hint: 'use cloudtun ssh and cloudtun cp there',
      });
    }
    const file = join(this.world.paths.config, 'ssh_config');
    const config = new UserConfig(this.world);
    if (flags.uninstall) return this.#uninstall(file, config);
    const own = config.read();
    const { home } = this.world.paths;
    const { text, hosts } = await this.#generated(ownHosts(own));
    if (flags.print) {
      if (!this.jsonEnabled()) this.terminal.result(text.trimEnd());
      return { file, included: includes(own, file, home), config: config.path, hosts };
    }
    writePrivateFile(file, text);
    for (const host of hosts) this.terminal.note(`  ${host.names.join(' ')}  (${host.remark})`);
    if (!this.jsonEnabled()) this.terminal.result(`wrote ${file}`);
    const isIncluded = includes(own, file, home) || (await this.#include(config, own, file, flags.install));
    return { file, included: isIncluded, config: config.path, hosts };
  }

  async #generated(own: ReadonlySet<string>) {
    const { world } = this;
    const catalogue = await loadCatalogue(world);
    const project = catalogue.files.find((path) => path.endsWith(`/${PROJECT_FILE}`));
    this.terminal.progress('asking for the users of the machines ...');
    const hosts = await configHosts(world, catalogue, own, this.signal);
    this.terminal.settle();
    const text = clientConfig({
      command: ownCommand(),
      folder: join(world.paths.state, 'ssh'),
      catalogue: project === undefined ? undefined : dirname(project),
      hosts,
    });
    return {
      text,
      hosts: hosts.map((host) => ({
        names: namesOf(host),
        ...(host.user !== undefined && { user: host.user }),
        remark: host.isTaken ? `${host.remark}; ${host.name} itself is yours` : host.remark,
      })),
    };
  }

  /** @returns whether the user's config includes the file now */
  async #include(config: UserConfig, own: string, file: string, isWanted: boolean): Promise<boolean> {
    if (!isWanted && !(await this.#mayInclude(config))) {
      this.terminal.note(`to use it, put this line at the top of ${config.path}, or run this again with --install:`);
      this.terminal.note(`  ${includeLine(file)}`);
      return false;
    }
    config.write(withInclude(own, file, this.world.paths.home));
    this.terminal.note(`${config.path} includes it now`);
    return true;
  }

  async #mayInclude(config: UserConfig): Promise<boolean> {
    if (!this.terminal.canAsk || this.jsonEnabled()) return false;
    const choices = [
      { value: 'yes', name: 'yes, as its first line' },
      { value: 'no', name: 'no, show me the line' },
    ];
    return (await askWhich(`Include it in ${config.path}?`, choices, this.signal)) === 'yes';
  }

  #uninstall(file: string, config: UserConfig): SshConfigJson {
    const own = config.read();
    const rest = withoutInclude(own, file);
    if (rest !== own) config.write(rest);
    rmSync(file, { force: true });
    const included = includes(rest, file, this.world.paths.home);
    if (included) this.terminal.complain(`warning: ${config.path} has a line of your own that includes ${file}`);
    if (!this.jsonEnabled())
      this.terminal.result(`removed ${file}${rest === own ? '' : ` and its line in ${config.path}`}`);
    return { file, included, config: config.path, hosts: [] };
  }
}
