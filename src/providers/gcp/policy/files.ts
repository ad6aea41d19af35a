import { type HclBody, hclBlock, hclReference } from '../../../onboarding/core/hcl.ts';
import type { ExportFile, JsonValue, PolicyDraft, PolicyResource } from '../../policy-author.ts';
import type { OwnBinding } from './bindings.ts';

/** The provider that the resources are of ("registry.terraform.io/providers/hashicorp/google"). */
const VERSION = '>= 6.0';

/** The draft of one project as files. */
export function gcpFiles(draft: PolicyDraft, format: 'json' | 'terraform'): readonly ExportFile[] {
  return format === 'terraform' ? [{ path: 'main.tf', text: terraform(draft) }] : jsonFiles(draft);
}

const of = <Content>({ content }: PolicyResource) => content as unknown as Content;
const json = (value: JsonValue) => `${JSON.stringify(value, undefined, 2)}\n`;

interface Role {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly permissions: readonly string[];
}

interface Group {
  readonly name: string;
  readonly cidrs: readonly string[];
  readonly fqdns: readonly string[];
}

function jsonFiles(draft: PolicyDraft): readonly ExportFile[] {
  const kinds = Map.groupBy(draft.resources, ({ kind }) => kind);
  const bindings = (kinds.get('binding') ?? []).map((each) => of<OwnBinding>(each));
  const byResource = Map.groupBy(bindings, ({ resource }) => resource);
  const policies = [...byResource].map(([resource, those]) => ({
    resource,
    bindings: those.map(({ role, member, condition }) => ({ role, members: [member], condition })),
  }));
  return [
    { path: 'README.md', text: readme(draft) },
    { path: 'bindings.json', text: json(policies) },
    ...(kinds.get('role') ?? []).map((each) => ({ path: `roles/${each.name}.json`, text: json(of<JsonValue>(each)) })),
    ...(kinds.get('destination group') ?? []).map((each) => ({
      path: `destination-groups/${each.name}.json`,
      text: json(of<JsonValue>(each)),
    })),
  ];
}

function readme({ place, owner, resources, notices }: PolicyDraft): string {
  return [
    `# Permissions in ${place}`,
    '',
    `Written by cloudtun from the catalogue \`${owner}\`. The titles of its conditions begin with \`cloudtun/${owner}/\`.`,
    '',
    ...resources.map(({ kind, name, summary }) => `- ${kind} \`${name}\`: ${summary}`),
    '',
    '## Before you sign',
    '',
    ...notices.map(({ level, team, text }) => `- ${level}: ${team === undefined ? '' : `${team}: `}${text}`),
    '- who reached what is written down where Data Access logs are on for iap.googleapis.com, and nowhere else in the cloud',
    '- the firewall admits 35.235.240.0/20 to the port, and nobody else',
    '- whoever owns the project may use tunnels without any of this: owners cannot have conditions',
    '',
  ].join('\n');
}

const label = (name: string) => name.replaceAll(/[^A-Za-z0-9_]+/g, '_').replace(/^(?=\d)/, '_');

function terraform(draft: PolicyDraft): string {
  const blocks = draft.resources.map((resource) => {
    if (resource.kind === 'role') return roleBlock(of<Role>(resource));
    if (resource.kind === 'destination group') return groupBlock(of<Group>(resource));
    return bindingBlock(of<OwnBinding>(resource), draft);
  });
  return [
    `# Written by cloudtun from the catalogue ${draft.owner} for ${draft.place}: change cloudtun.yaml, not this.\n`,
    hclBlock('terraform', [], { required_providers: [{ google: { source: 'hashicorp/google', version: VERSION } }] }),
    hclBlock('provider', ['google'], { project: draft.scope }),
    ...blocks,
  ].join('\n');
}

function roleBlock({ name, title, description, permissions }: Role): string {
  const [, project = '', , id = ''] = name.split('/');
  return hclBlock('resource', ['google_project_iam_custom_role', label(id)], {
    project,
    role_id: id,
    title,
    description,
    permissions,
  });
}

function groupBlock({ name, cidrs, fqdns }: Group): string {
  const [, project = '', , , region = '', , group = ''] = name.split('/');
  return hclBlock('resource', ['google_iap_tunnel_dest_group', label(group)], {
    project,
    region,
    group_name: group,
    ...(cidrs.length > 0 && { cidrs }),
    ...(fqdns.length > 0 && { fqdns }),
  });
}

/** The member flavour only: policy and binding would take away what others gave. */
function bindingBlock({ resource, role, member, condition }: OwnBinding, draft: PolicyDraft): string {
  const custom = draft.resources.find(
    ({ kind, content }) => kind === 'role' && (content as unknown as Role).name === role,
  );
  const where = placeOf(resource, draft);
  return hclBlock('resource', [where.type, label(`${condition.title}_${role.split('/').at(-1)}_${member}`)], {
    ...where.body,
    role: custom === undefined ? role : hclReference(`google_project_iam_custom_role.${label(custom.name)}.name`),
    member,
    condition: [{ title: condition.title, expression: condition.expression }],
  });
}

function placeOf(resource: string, draft: PolicyDraft): { readonly type: string; readonly body: HclBody } {
  const parts = resource.split('/');
  const project = parts[1] ?? '';
  if (/\/iap_tunnel\/zones\//.test(resource))
    return { type: 'google_iap_tunnel_instance_iam_member', body: { project, zone: parts[4]!, instance: parts[6]! } };
  if (/\/iap_tunnel\/locations\//.test(resource)) {
    const name = parts[6]!;
    const isOurs = draft.resources.some((each) => each.kind === 'destination group' && each.name === name);
    const group = isOurs ? hclReference(`google_iap_tunnel_dest_group.${label(name)}.group_name`) : name;
    return { type: 'google_iap_tunnel_dest_group_iam_member', body: { project, region: parts[4]!, dest_group: group } };
  }
  if (/\/zones\/[^/]+\/instances\//.test(resource))
    return { type: 'google_compute_instance_iam_member', body: { project, zone: parts[3]!, instance_name: parts[5]! } };
  if (/\/serviceAccounts\//.test(resource))
    return { type: 'google_service_account_iam_member', body: { service_account_id: resource } };
  if (/\/secrets\//.test(resource))
    return { type: 'google_secret_manager_secret_iam_member', body: { project, secret_id: parts[3]! } };
  return { type: 'google_project_iam_member', body: { project } };
}
