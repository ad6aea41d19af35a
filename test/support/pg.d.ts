/** The little of node-postgres that tests use; the package brings no types. */
declare module 'pg' {
  interface Result {
    readonly rows: readonly Record<string, unknown>[];
  }
  class Client {
    constructor(options: {
      host: string;
      port: number;
      user: string;
      password: string;
      database: string;
      ssl?: boolean | object;
    });
    connect(): Promise<void>;
    query(query: string | { name: string; text: string }, values?: readonly unknown[]): Promise<Result>;
    on(event: 'error', listener: (error: Error) => void): this;
    end(): Promise<void>;
    readonly connection: { readonly stream: import('node:net').Socket };
  }
  const pg: { readonly Client: typeof Client };
  export default pg;
}
