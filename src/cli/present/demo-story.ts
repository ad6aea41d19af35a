/** What `cloudtun demo` says between the lines of the program itself. */
export interface Chapter {
  readonly title: string;
  readonly text: readonly string[];
}

export const CHAPTERS = {
  cloud: {
    title: 'A cloud to practise on',
    text: [
      'An embedded AWS starts inside this process: its APIs, the Session Manager message service, machines',
      'with an agent, and a MySQL database in a private network. All of it on loopback; nothing leaves',
      'this machine, and nothing is installed.',
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
  next: {
    title: 'Next',
    text: [
      'cloudtun lab up                     keeps this practice cloud running',
      'eval "$(cloudtun lab env)"          points cloudtun, the AWS CLI and the SDKs at it',
      'cloudtun targets                    what can be reached there, and what cannot, and why',
      'cloudtun rds prod --port 13306      the same tunnel by hand; with an AWS account: the same command',
    ],
  },
} as const satisfies Record<string, Chapter>;
