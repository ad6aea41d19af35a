import { Flags } from '@oclif/core';
import { DOCUMENT_FLAG, SELECTION_FLAGS, TUNNEL_FLAGS, VIA_FLAG } from './flags.ts';
import { PRINT_FORMS } from './present/connection-text.ts';

/** How patient a start is, and by what servers are known: for `exec`, and for clients that `rds` and `sql` start. */
export const CLIENT_FLAGS = {
  retries: Flags.integer({
    description: 'try again so often when something fails that may pass (default: 2)',
    env: 'CLOUDTUN_RETRIES',
    helpValue: 'N',
    min: 0,
    max: 1_000,
  }),
  'connect-timeout': Flags.string({
    description: 'how long one try may take until the far side answers (default: 30s)',
    env: 'CLOUDTUN_CONNECT_TIMEOUT',
    helpValue: 'TIME',
  }),
  'db-ca': Flags.string({
    description: 'certificates that the database is verified by, such as the global-bundle.pem of RDS',
    env: 'CLOUDTUN_DB_CA',
    helpValue: 'FILE',
  }),
};

/** What `rds` and `sql` can do with an open database besides holding it. */
export const USE_FLAGS = {
  client: Flags.boolean({
    description: 'start the usual client (mysql, psql, …) with what stands behind --, and close when it ends',
    env: 'CLOUDTUN_CLIENT',
    exclusive: ['print', 'explain'],
  }),
  print: Flags.string({
    description: 'print where clients connect, and hold the tunnel',
    env: 'CLOUDTUN_PRINT',
    options: [...PRINT_FORMS],
    exclusive: ['explain'],
  }),
  reveal: Flags.boolean({
    description: 'with --print: the password, too',
    env: 'CLOUDTUN_REVEAL',
    dependsOn: ['print'],
  }),
  ...CLIENT_FLAGS,
};

export const EXEC_FLAGS = {
  ...SELECTION_FLAGS,
  ...TUNNEL_FLAGS,
  ...DOCUMENT_FLAG,
  ...CLIENT_FLAGS,
  grace: Flags.string({
    description: 'how long the command may go on after SIGTERM, and open connections after it (default: 30s)',
    env: 'CLOUDTUN_GRACE',
    helpValue: 'TIME',
  }),
  port: Flags.string({
    description: 'local port, where there is one name (default: the one of cloudtun.yaml, else any free one)',
    env: 'CLOUDTUN_PORT',
    helpValue: 'PORT',
  }),
  ...VIA_FLAG,
};
