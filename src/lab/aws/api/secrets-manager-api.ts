import type { LabSecrets } from '../../lab-secrets.ts';
import type { JsonService } from './api-service.ts';
import { AwsFault } from './aws-fault.ts';

/** Secrets Manager: GetSecretValue. A secret has one version. */
export function secretsManagerApi(secrets: LabSecrets, wall: () => number): JsonService {
  const arnOf = (id: string, region: string, account: string) =>
    id.startsWith('arn:') ? id : `arn:aws:secretsmanager:${region}:${account}:secret:${id}-AbCdEf`;
  return {
    name: 'secretsmanager',
    protocol: 'json',
    targetPrefix: 'secretsmanager',
    operations: {
      GetSecretValue: {
        resources: (input, call) => [
          { arn: arnOf(input.text('SecretId') ?? '*', call.region, call.key.principal.account) },
        ],
        run: (input, call) => {
          const id = input.requiredText('SecretId', { min: 1, max: 2_048 });
          // The ARN has six characters of its own at the end.
          const name = id.startsWith('arn:')
            ? id
                .split(':')
                .slice(6)
                .join(':')
                .replace(/-\w{6}$/, '')
            : id;
          const text = secrets.get(name);
          if (text === undefined) {
            const what = "Secrets Manager can't find the specified secret.";
            throw new AwsFault('ResourceNotFoundException', 400, what);
          }
          return {
            ARN: arnOf(id, call.region, call.key.principal.account),
            Name: name,
            SecretString: text,
            VersionStages: ['AWSCURRENT'],
            CreatedDate: wall() / 1_000,
          };
        },
      },
    },
  };
}
