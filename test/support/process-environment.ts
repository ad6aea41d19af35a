/**
 * Gives the process itself the environment of a test, for code that cannot be handed one: parts of the AWS SDK's credential chain.
 * Everything of AWS that was set is taken away, and put back when the test is over.
 */
export function processEnvironment(
  test: { after(call: () => void): void },
  env: Readonly<Record<string, string>>,
): void {
  const names = [...Object.keys(process.env).filter((name) => name.startsWith('AWS_')), ...Object.keys(env)];
  const before = new Map(names.map((name) => [name, process.env[name]]));
  for (const name of names) delete process.env[name];
  Object.assign(process.env, env);
  test.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
}
