/** What `cloudtun demo` says between the lines of the program itself. */
export interface Chapter {
  readonly title: string;
  readonly text: readonly string[];
}

export const CHAPTERS = {
  cloud: {
    title: 'A cloud to practise on',
    text: [
      'An embedded AWS and an embedded Google Cloud start inside this process: their APIs, the message',
      'service of Session Manager and the relay of Identity-Aware Proxy, machines, and databases in private',
      'networks. All of it on loopback; nothing leaves this machine, and nothing is installed.',
    ],
  },
  tunnel: {
    title: 'A private database on a local port',
    text: [
      'The database has no public address, and no machine has port 22 open. cloudtun looks it up, picks a',
      'machine that its security groups let in, starts one Session Manager session as you, speaks the',
      'protocol itself, and calls it ready only when the database has answered.',
      '',
      '$ cloudtun rds prod',
    ],
  },
  query: {
    title: 'Your usual client',
    text: ['Any MySQL client connects to the local port. This one runs a query through the session:', ''],
  },
  record: {
    title: 'Nothing stays behind but the record',
    text: [
      'The tunnel is drained and closed, its session terminated. The journal says who, what, why and how much:',
      '',
    ],
  },
  google: {
    title: 'The same on Google Cloud',
    text: [
      'A Cloud SQL database without a public address. Identity-Aware Proxy lets in whom IAM names, here through',
      'a destination group that holds the address of the database; each connection is a conversation of its own.',
      '',
      '$ cloudtun sql reports',
    ],
  },
  googleQuery: {
    title: 'And its usual client',
    text: ['This one speaks PostgreSQL:', ''],
  },
  googleRecord: {
    title: 'And the same record',
    text: ['One journal for both clouds:', ''],
  },
  next: {
    title: 'Next',
    text: [
      'cloudtun lab up                     keeps these practice clouds running',
      'eval "$(cloudtun lab env)"          points cloudtun, the AWS CLI, gcloud and the SDKs at them',
      'cloudtun targets                    what can be reached there, and what cannot, and why',
      'cloudtun rds prod --port 13306      the same tunnels by hand; with an account: the same commands',
      'cloudtun sql reports --port 15432',
    ],
  },
} as const satisfies Record<string, Chapter>;
