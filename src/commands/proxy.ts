import { Args, Flags } from '@oclif/core';
import { DOCUMENT_FLAG, SELECTION_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from '../cli/flags.ts';
import { TunnelCommand, type TunnelResult } from '../cli/tunnel-command.ts';
import { loadCatalogue } from '../config/load.ts';
import { proxyArguments } from '../fast/proxy-arguments.ts';
import { planProxy } from '../fast/proxy-plan.ts';

const { reason, explain } = TUNNEL_FLAGS;

/** For help, completion and `--explain`; what carries a stream is fast/main, which bin/run.js starts without this framework. */
export default class StdioProxy extends TunnelCommand {
  static override summary = 'a stream to a port of a machine on stdin and stdout';
  static override description =
    'For the ProxyCommand of ssh, and for everything that is built on it. stdout carries the stream and nothing else; errors are on ' +
    'stderr, as JSON with --json. HOST may end with .cloudtun, which is cut off, or with .aws.cloudtun or .gcp.cloudtun, which ' +
    'names the cloud as well.';
  static override examples = [
    "ssh -o ProxyCommand='<%= config.bin %> proxy %h %p' ec2-user@i-0abc1234567890def",
    '<%= config.bin %> proxy web-1 22',
    '<%= config.bin %> proxy gcp:web-1 9000 < request > answer',
  ];
  static override args = {
    host: Args.string({
      description:
        'machine: id, name, private address, tag:Key=Value, project/zone/instance, or a name in cloudtun.yaml',
      required: true,
      ignoreStdin: true,
    }),
    port: Args.string({ description: 'its port', required: true, ignoreStdin: true }),
  };
  static override flags = {
    ...SELECTION_FLAGS,
    ...VIA_FLAG,
    reason,
    explain,
    ...DOCUMENT_FLAG,
    login: Flags.string({
      env: 'CLOUDTUN_PROXY_LOGIN',
      char: 'l',
      description: 'let a new key in for this user, and keep it in an agent for ssh',
      helpValue: 'USER',
      dependsOn: ['ssh-files'],
    }),
    'ssh-files': Flags.string({
      env: 'CLOUDTUN_PROXY_SSH_FILES',
      description: 'folder where ssh looks for that agent and for host keys',
      helpValue: 'FOLDER',
      dependsOn: ['login'],
    }),
    catalogue: Flags.string({
      env: 'CLOUDTUN_PROXY_CATALOGUE',
      description: 'folder to look for cloudtun.yaml from (default: the working directory)',
      helpValue: 'FOLDER',
    }),
  };

  async run(): Promise<TunnelResult> {
    const { flags } = await this.parse(StdioProxy);
    const given = proxyArguments(
      this.argv.filter((word) => word !== '--explain'),
      this.world.env,
    );
    return await this.hold(
      given.target,
      planProxy(given, await loadCatalogue({ ...this.world, cwd: given.catalogue ?? this.world.cwd })),
      {
        ...flags,
        explain: true,
      },
    );
  }
}
