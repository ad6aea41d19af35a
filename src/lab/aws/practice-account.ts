import { AWS_DOCUMENTS } from './documents.ts';
import type { Inventory } from './inventory.ts';
import { PRACTICE_CLUSTERS, PRACTICE_DATABASES, PRACTICE_PROXIES, RDS_DOMAIN } from './practice-databases.ts';
import { PRACTICE_HOSTS, PRACTICE_HYBRID_NODES, PRACTICE_INSTANCES } from './practice-machines.ts';
import {
  PRACTICE_ACLS,
  PRACTICE_SECURITY_GROUPS,
  PRACTICE_SUBNETS,
  PRACTICE_VPCS,
  REGION,
} from './practice-network.ts';

/**
 * The account people practise on. Every line is there for something to be seen or to go wrong:
 *
 * | name | why |
 * | --- | --- |
 * | bastion-a | online, the databases admit it |
 * | bastion-b | online, the databases do not admit it |
 * | web-1 | a machine with services of its own (80 web page, 7 echo, 9 discard, 19 chargen, 22 sshd) |
 * | old-agent | admitted by the databases, but its agent knows neither mux nor remote hosts |
 * | batch-1 / offline-1 / appliance-1 | stopped / agent not connected / never had an agent |
 * | app, app | two machines of one name, in the Auto Scaling group app-asg |
 * | inner-1 | an Ubuntu in a subnet of its own, without an agent: sshd and a web page, for bastion-a alone |
 * | wiki.internal, vault.internal | web pages for bastion-a and web-1 / for inner-1 alone |
 * | onprem-1 | a hybrid node (`mi-…`) |
 * | prod, prod-replica, orders, ledger (cluster), prod-proxy | databases that answer |
 * | archive / legacy | stopped / in a network without any managed node |
 */
export function practiceAccount(): Inventory {
  return PRACTICE_ACCOUNT;
}

const PRACTICE_ACCOUNT: Inventory = {
  account: '111122223333',
  region: REGION,
  vpcs: PRACTICE_VPCS,
  subnets: PRACTICE_SUBNETS,
  networkAcls: PRACTICE_ACLS,
  securityGroups: PRACTICE_SECURITY_GROUPS,
  instances: PRACTICE_INSTANCES,
  hybridNodes: PRACTICE_HYBRID_NODES,
  hosts: PRACTICE_HOSTS,
  databases: PRACTICE_DATABASES,
  clusters: PRACTICE_CLUSTERS,
  proxies: PRACTICE_PROXIES,
  documents: [
    ...AWS_DOCUMENTS,
    {
      name: 'practice-prod',
      description: 'Port forwarding to the database prod and nothing else',
      owner: 'self',
      sessionType: 'Port',
      parameters: {
        localPortNumber: {
          description: 'Port number on the local machine',
          default: '0',
          allowedPattern: '^[0-9]{1,5}$',
        },
      },
      properties: {
        portNumber: '3306',
        type: 'LocalPortForwarding',
        localPortNumber: '{{ localPortNumber }}',
        host: `prod.${RDS_DOMAIN}`,
      },
    },
  ],
  keys: [
    { id: '0a1b2c3d-4e5f-4607-8899-aabbccddeeff', aliases: ['alias/ssm-sessions'], enabled: true },
    { id: '7c6d5e4f-3a2b-4c1d-9e8f-ffeeddccbbaa', aliases: ['alias/cloudtun-audit'], enabled: true, use: 'sign' },
  ],
  users: [
    { name: 'alice', denied: [], mfa: true },
    {
      name: 'mallory',
      denied: [{ action: 'ssm:StartSession' }, { action: 'sts:AssumeRole' }, { action: 'ec2-instance-connect:*' }],
      mfa: false,
    },
    { name: 'bob', denied: [], mfa: false },
    { name: 'admin', denied: [], mfa: false },
  ],
  roles: [
    { name: 'operators', trustedUsers: ['alice'], requireMfa: true, webIdentity: false, denied: [] },
    { name: 'readers', trustedUsers: ['alice'], requireMfa: false, webIdentity: false, denied: [] },
    { name: 'ci', trustedUsers: [], requireMfa: false, webIdentity: true, denied: [] },
  ],
  sso: { userName: 'alice@example.com', permissionSet: 'readers', denied: [] },
};
