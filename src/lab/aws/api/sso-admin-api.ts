import type { Inventory } from '../inventory.ts';
import type { ApiContext, JsonService } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';
import { checkDocument, permissionSetRole } from './iam-shapes.ts';
import type { JsonInput, JsonObject } from './json-input.ts';

const INSTANCE = 'arn:aws:sso:::instance/ssoins-0a1b2c3d4e5f6071';
const SET = 'arn:aws:sso:::permissionSet/ssoins-0a1b2c3d4e5f6071/ps-0a1b2c3d4e5f6071';

/** What is written into the permission set; it counts once it was provisioned. */
interface Draft {
  inline: string;
  readonly references: Map<string, { readonly Name: string; readonly Path: string }>;
}

/**
 * Identity Center, administration: the one permission set of the lab, its inline policy and its references to customer managed policies.
 * ProvisionPermissionSet writes them into the role that the set becomes in the account.
 */
export function ssoAdminApi(context: ApiContext): JsonService {
  const draft: Draft = { inline: '', references: new Map() };
  const provisioned = new Map<string, number>();
  const resources = () => [INSTANCE, SET];
  const find = (input: JsonInput): void => {
    if (input.requiredText('InstanceArn') !== INSTANCE) throw notFound('Instance not found');
    const asked = input.text('PermissionSetArn');
    if (asked !== undefined && asked !== SET) throw notFound('PermissionSet not found');
  };
  const operation = (run: (input: JsonInput) => JsonObject) => ({
    resources,
    run: (input: JsonInput) => {
      find(input);
      return run(input);
    },
  });
  return {
    name: 'sso',
    protocol: 'json',
    targetPrefix: 'SWBExternalService',
    operations: {
      ListInstances: {
        run: () => ({
          Instances: [
            {
              InstanceArn: INSTANCE,
              IdentityStoreId: 'd-0a1b2c3d4e',
              OwnerAccountId: context.inventory().account,
              Status: 'ACTIVE',
            },
          ],
        }),
      },
      ListPermissionSets: operation(() => ({ PermissionSets: [SET] })),
      DescribePermissionSet: operation(() => ({
        PermissionSet: {
          Name: context.inventory().sso.permissionSet,
          PermissionSetArn: SET,
          CreatedDate: 0,
          SessionDuration: 'PT1H',
        },
      })),
      GetInlinePolicyForPermissionSet: operation(() => ({ InlinePolicy: draft.inline })),
      PutInlinePolicyToPermissionSet: operation((input) => {
        draft.inline = checkDocument(input.requiredText('InlinePolicy', { min: 1 }), 'permissionSet');
        return {};
      }),
      DeleteInlinePolicyFromPermissionSet: operation(() => {
        draft.inline = '';
        return {};
      }),
      ListCustomerManagedPolicyReferencesInPermissionSet: operation(() => ({
        CustomerManagedPolicyReferences: [...draft.references.values()].map((one) => ({ ...one })),
      })),
      AttachCustomerManagedPolicyReferenceToPermissionSet: operation((input) => {
        const reference = readReference(input);
        if (draft.references.has(reference.Name))
          throw new AwsFault('ConflictException', 400, 'It is attached already.');
        draft.references.set(reference.Name, reference);
        return {};
      }),
      DetachCustomerManagedPolicyReferenceFromPermissionSet: operation((input) => {
        if (!draft.references.delete(readReference(input).Name)) throw notFound('It is not attached');
        return {};
      }),
      ProvisionPermissionSet: operation(() => {
        provision(context, draft);
        const requestId = context.world.random.uuid();
        provisioned.set(requestId, context.world.clock.wall());
        // It takes its time: whoever wants to know that it is done asks again.
        return { PermissionSetProvisioningStatus: status(context.inventory(), requestId, 0, 'IN_PROGRESS') };
      }),
      DescribePermissionSetProvisioningStatus: operation((input) => {
        const requestId = input.requiredText('ProvisionPermissionSetRequestId');
        const at = provisioned.get(requestId);
        if (at === undefined) throw notFound('Request not found');
        return { PermissionSetProvisioningStatus: status(context.inventory(), requestId, at) };
      }),
      ListAccountAssignments: operation(() => ({
        AccountAssignments: [
          {
            AccountId: context.inventory().account,
            PermissionSetArn: SET,
            PrincipalType: 'USER',
            PrincipalId: context.inventory().sso.userName,
          },
        ],
      })),
    },
  };
}

function provision(context: ApiContext, { inline, references }: Draft): void {
  const { account, sso } = context.inventory();
  const { directory } = context.iam;
  const attached = [...references.values()].map(({ Name, Path }) => `arn:aws:iam::${account}:policy${Path}${Name}`);
  const missing = attached.find((arn) => !directory.policies.has(arn));
  if (missing !== undefined) throw new AwsFault('ConflictException', 400, `The account has no policy ${missing}.`);
  const role = directory.entity('role', permissionSetRole(sso.permissionSet));
  role.inline.clear();
  role.attached.clear();
  if (inline !== '') role.inline.set('AwsSSOInlinePolicy', inline);
  for (const arn of attached) role.attached.add(arn);
}

const status = ({ account }: Inventory, RequestId: string, at: number, Status = 'SUCCEEDED'): JsonObject => ({
  RequestId,
  AccountId: account,
  PermissionSetArn: SET,
  Status,
  CreatedDate: at / 1_000,
});

function readReference(input: JsonInput): { readonly Name: string; readonly Path: string } {
  const reference = input.textMap('CustomerManagedPolicyReference');
  if (!reference.Name) throw new AwsFault('ValidationException', 400, 'The reference has no name.');
  return { Name: reference.Name, Path: reference.Path ?? '/' };
}

const notFound = (message: string): AwsFault => new AwsFault('ResourceNotFoundException', 400, message);
