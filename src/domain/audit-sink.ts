/** One line of the journal: what happened, to what, by whom. Never a secret. Times are ISO 8601 UTC. */
export interface AuditEvent {
  readonly event: string;
  readonly [field: string]: string | number | boolean | undefined;
}

/** Where audit events go. `record` throws CT_JOURNAL when the event cannot be kept. */
export interface AuditSink extends AsyncDisposable {
  record(event: AuditEvent): void;
}
