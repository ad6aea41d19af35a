/** Whether text fits a pattern with `*` and `?`, as IAM and the EC2 filters use them. Case counts. */
export function matchesPattern(pattern: string, text: string): boolean {
  const expression = pattern.replace(/[\\^$.*+?()[\]{}|]/g, (sign) =>
    sign === '*' ? '.*' : sign === '?' ? '.' : `\\${sign}`,
  );
  return new RegExp(`^${expression}$`, 's').test(text);
}
