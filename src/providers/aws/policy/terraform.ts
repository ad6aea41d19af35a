import { type HclBody, hclBlock, hclReference } from '../../../onboarding/core/hcl.ts';
import type { ExportFile, JsonValue, PolicyDraft, PolicyResource } from '../../policy-author.ts';
import { versionName } from './marks.ts';

/** The provider that the resources are of ("registry.terraform.io/providers/hashicorp/aws"). */
const VERSION = '>= 5.40';

/** One file for each region's documents, one for policies and who has them. */
export function terraformFiles(draft: PolicyDraft): readonly ExportFile[] {
  const documents = Map.groupBy(
    draft.resources.filter(({ kind }) => kind === 'document'),
    ({ id }) => id.split('/')[1]!,
  );
  const [main] = documents.keys();
  const blocks = [
    hclBlock('terraform', [], {
      required_providers: [{ aws: { source: 'hashicorp/aws', version: VERSION } }],
    }),
    ...[...documents.keys()].map((region) =>
      hclBlock('provider', ['aws'], { ...(region !== main && { alias: label(region) }), region }),
    ),
    ...[...documents].flatMap(([region, those]) =>
      those.map((each) => documentBlock(each, region === main ? undefined : region)),
    ),
    ...draft.resources.filter(({ kind }) => kind === 'policy').map(policyBlock),
    ...attachmentBlocks(
      draft.resources.filter(({ kind }) => kind === 'attachment'),
      draft.scope,
    ),
  ];
  const head = `# Written by cloudtun from the catalogue ${draft.owner} for ${draft.place}: change cloudtun.yaml, not this.\n`;
  return [{ path: 'main.tf', text: [head, ...blocks].join('\n') }];
}

const label = (name: string) => name.replaceAll(/[^A-Za-z0-9_]/g, '_').replace(/^(?=\d)/, '_');

function documentBlock({ name, content, id }: PolicyResource, alias: string | undefined): string {
  const { document, tags } = content as { document: JsonValue; tags: Readonly<Record<string, string>> };
  const region = id.split('/')[1]!;
  return hclBlock('resource', ['aws_ssm_document', label(`${name}_${region}`)], {
    ...(alias !== undefined && { provider: hclReference(`aws.${label(alias)}`) }),
    name,
    document_type: 'Session',
    document_format: 'JSON',
    content: JSON.stringify(document, undefined, 2),
    version_name: versionName(document),
    tags,
  });
}

function policyBlock({ name, content, summary }: PolicyResource): string {
  const { policy, tags } = content as { policy: JsonValue; tags: Readonly<Record<string, string>> };
  return hclBlock('resource', ['aws_iam_policy', label(name)], {
    name,
    description: summary.slice(0, 1_000).replaceAll(/[^\t\n\r\u0020-\u007E\u00A1-\u00FF]/g, ' '),
    policy: JSON.stringify(policy, undefined, 2),
    tags,
  });
}

function attachmentBlocks(attachments: readonly PolicyResource[], account: string): readonly string[] {
  const said = attachments.map(({ content }) => content as { kind: string; name: string; policy: string });
  const sets = [...new Set(said.flatMap(({ kind, name }) => (kind === 'permissionSet' ? [name] : [])))];
  const arn = hclReference('tolist(data.aws_ssoadmin_instances.this.arns)[0]');
  return [
    ...(sets.length > 0
      ? [
          `# Identity Center is asked from account ${account} or wherever it is administered.\n${hclBlock('data', ['aws_ssoadmin_instances', 'this'], {})}`,
        ]
      : []),
    ...sets.map((name) => hclBlock('data', ['aws_ssoadmin_permission_set', label(name)], { instance_arn: arn, name })),
    ...said.map(({ kind, name, policy }) => attachmentBlock(kind, name, policy, arn)),
  ];
}

function attachmentBlock(kind: string, name: string, policy: string, instance: HclBody[string]): string {
  const own = label(`${kind}_${name}_${policy}`);
  if (kind === 'permissionSet') {
    return hclBlock('resource', ['aws_ssoadmin_customer_managed_policy_attachment', own], {
      instance_arn: instance,
      permission_set_arn: hclReference(`data.aws_ssoadmin_permission_set.${label(name)}.arn`),
      customer_managed_policy_reference: [{ name: hclReference(`aws_iam_policy.${label(policy)}.name`), path: '/' }],
    });
  }
  return hclBlock(
    'resource',
    [kind === 'user' ? 'aws_iam_user_policy_attachment' : 'aws_iam_role_policy_attachment', own],
    {
      [kind]: name,
      policy_arn: hclReference(`aws_iam_policy.${label(policy)}.arn`),
    },
  );
}
