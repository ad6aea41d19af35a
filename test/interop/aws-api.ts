/** The AWS CLI asks the lab's APIs. */
import { BASTION_ID } from '../bench/lab-process.ts';
import { type Check, type Finding, judge } from './check.ts';

interface Question {
  readonly words: readonly string[];
  /** What the answer is known by. */
  readonly holds: readonly string[];
}

export const apiCheck: Check = {
  name: 'aws-api',
  needs: ['aws'],
  async run({ official, lab }) {
    const questions: readonly Question[] = [
      { words: ['sts', 'get-caller-identity'], holds: ['111122223333', ':user/alice'] },
      { words: ['ec2', 'describe-instances'], holds: [BASTION_ID, 'bastion-a'] },
      { words: ['rds', 'describe-db-instances'], holds: [lab.greeting.host, '"prod"'] },
      { words: ['ssm', 'describe-instance-information'], holds: [BASTION_ID, '"Online"'] },
      { words: ['ssm', 'describe-sessions', '--state', 'Active'], holds: ['"Sessions"'] },
      { words: ['ssm', 'describe-sessions', '--state', 'History'], holds: ['"Sessions"'] },
    ];
    const findings: Finding[] = [];
    for (const { words, holds } of questions) {
      const answer = JSON.stringify(await official.call(...words));
      const missing = holds.filter((part) => !answer.includes(part));
      const result = missing.length === 0 ? `${answer.length} characters of JSON` : `without ${missing.join(', ')}`;
      findings.push(judge(missing.length === 0, `aws ${words.join(' ')}: ${result}`));
    }
    return { findings };
  },
};
