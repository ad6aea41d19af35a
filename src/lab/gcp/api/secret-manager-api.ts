import type { LabSecrets } from '../../lab-secrets.ts';
import { faults } from './google-fault.ts';
import type { GcpOperation } from './operation.ts';

/** The part of the Secret Manager API (v1) that reads a secret. A secret has one version. */
export function secretManagerApi(secrets: LabSecrets): readonly GcpOperation[] {
  return [
    {
      method: 'GET',
      path: /^\/secretmanager\/v1\/projects\/(?<project>[^/]+)\/secrets\/(?<secret>[^/]+)\/versions\/(?<version>latest|1):access$/,
      action: 'secretmanager.versions.access',
      service: 'secretmanager.googleapis.com',
      needs: ({ project, secret, version }) => ({
        permission: 'secretmanager.versions.access',
        resource: `projects/${project}/secrets/${secret}/versions/${version}`,
      }),
      run: ({ path: { project, secret } }) => {
        const name = `projects/${project}/secrets/${secret}`;
        const text = secrets.get(name);
        if (text === undefined) throw faults.notFound(`${name}/versions/latest`);
        return { name: `${name}/versions/1`, payload: { data: Buffer.from(text).toString('base64') } };
      },
    },
  ];
}
