-- SPDX-License-Identifier: PostgreSQL
-- Messages: publishing, subscribing, dead letters.

CREATE OR REPLACE FUNCTION goldenarch.publish(subject text, payload jsonb, headers jsonb = '{}', msg_id text = null)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_publish';
COMMENT ON FUNCTION goldenarch.publish(text, jsonb, jsonb, text) IS
'Publishes a message when this transaction commits: the row stands in the outbox, the relay brings it to JetStream at least once, in order of id within a subject. subject: dot-separated tokens of visible ASCII without wildcards; headers: an object of strings or arrays of strings, names of letters, digits, - and _ (not Nats-*, Ga-*), null: none; msg_id: what JetStream tells duplicates by, up to 128 visible ASCII characters, null: made from the row. A caller with a tenant has it prefixed to msg_id as {tenant} and sent as Ga-Tenant. Returns the outbox id. Errors: 22023 bad subject, payload, header or id; 54000 too large; 53400 the backlog is full; 25006 read-only. Permission: message.publish.';

CREATE OR REPLACE FUNCTION goldenarch.publish_bytes(subject text, payload bytea, headers jsonb = '{}', msg_id text = null)
RETURNS bigint LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_publish_bytes';
COMMENT ON FUNCTION goldenarch.publish_bytes(text, bytea, jsonb, text) IS
'As publish, for a payload that is not JSON: the bytes go out as they are. Permission: message.publish.';

CREATE OR REPLACE FUNCTION goldenarch.payload_json(payload bytea)
RETURNS jsonb LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'ga_payload_json';
COMMENT ON FUNCTION goldenarch.payload_json(bytea) IS
'A payload for reading: its JSON value where it is strict JSON, else its text as a JSON string, else {"base64": ...}. Permission: none.';

CREATE OR REPLACE VIEW goldenarch.dlq_messages WITH (security_invoker = true, security_barrier = true) AS
SELECT d.id, d.subject AS original_subject, goldenarch.payload_json(d.payload) AS data, d.headers, d.error, d.error_count,
       d.source, d.created_at, d.resolved_at IS NOT NULL AS resolved, d.resolved_at, d.resolved_by, d.resolution_notes,
       d.tenant, d.payload, d.origin, d.stream, d.seq, d.msg_id, d.retry_by
FROM goldenarch.dead_letters AS d
WHERE d.tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('dlq.read'))
  AND d.tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('dlq.read'));
COMMENT ON VIEW goldenarch.dlq_messages IS
'Dead letters, resolved ones until retention. data: the payload for reading (payload_json); payload: its bytes; source: publish (no stream took it), consume (its handler failed), task; origin: outbox id, subscription or task; retry_by: who asked for a delivery that is still to come. Permission: dlq.read.';

CREATE OR REPLACE FUNCTION goldenarch.dlq_retry(id bigint)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_dlq_retry';
COMMENT ON FUNCTION goldenarch.dlq_retry(bigint) IS
'Sends a dead letter again when this transaction commits. consume: the ingest worker gives it to its subscription''s handler once, as the role that subscribed, and resolves it with the handler''s effects, or counts the error and leaves it; publish: published as a new message and resolved; task: the task starts again. Errors: 42704 unknown (or another tenant''s), 55000 resolved or its subscription is gone. Audited. Permission: dlq.resolve.';

CREATE OR REPLACE FUNCTION goldenarch.dlq_retry_all(subject_like text = '%')
RETURNS integer LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_dlq_retry_all';
COMMENT ON FUNCTION goldenarch.dlq_retry_all(text) IS
'dlq_retry() of every unresolved dead letter whose subject matches the LIKE pattern, oldest first, at most 10000 a call; those whose subscription is gone are passed over. Returns how many. Permission: dlq.resolve.';

CREATE OR REPLACE FUNCTION goldenarch.dlq_resolve(id bigint, notes text)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_dlq_resolve';
COMMENT ON FUNCTION goldenarch.dlq_resolve(bigint, text) IS
'Closes a dead letter without sending it, with a note (1 to 2000 bytes) of why. Errors: 42704 unknown (or another tenant''s), 55000 resolved already, 22023. Audited. Permission: dlq.resolve.';

CREATE OR REPLACE FUNCTION goldenarch.subscribe(name text, stream text, subject text, handler regproc,
    max_deliver integer = 5, ack_wait interval = '30 s',
	backoff interval[] = null, batch integer = 50)
RETURNS void LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_subscribe';
COMMENT ON FUNCTION goldenarch.subscribe(text, text, text, regproc, integer, interval, interval[], integer) IS
'Gives every message of a JetStream stream whose subject matches (a subject or a pattern with * and >) to a handler(goldenarch.message) that returns void, from the first one the stream holds. The handler runs in a worker connected as the PostgreSQL role that calls this, which needs LOGIN and EXECUTE and, unless the database''s owner has its privileges anyway, owns the function (or a superuser does); its effects commit once a message, with the note that it was handled. An error rolls its effects back and the message comes again after backoff (default 0.1, 0.5, 2, 10 s; the last repeats), max_deliver (1 to 100) times in all, then it is a dead letter; SQLSTATE ZG010 makes it one at once. ack_wait (1 s to 1 h): the handler''s time limit, and when a lost delivery comes again; batch (1 to 500): messages fetched at a time. The same name again replaces the subscription. Errors: 22023 bad argument or not a handler, 42883 unknown handler, 42501 no EXECUTE, 55000 the role cannot log in or does not own the handler. Audited. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.unsubscribe(name text)
RETURNS boolean LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_unsubscribe';
COMMENT ON FUNCTION goldenarch.unsubscribe(text) IS
'Ends a subscription when this transaction commits and has its consumer deleted; what was dead-lettered stays. Returns whether there was one. Audited. Permission: system.admin.';

CREATE OR REPLACE FUNCTION goldenarch.bridge_status_row(OUT state text, OUT server text,
    OUT published bigint, OUT acked bigint, OUT pending bigint,
	OUT consumed bigint, OUT failed bigint, OUT last_error text, OUT last_error_at timestamptz,
	OUT since timestamptz, OUT parked bigint,
	OUT ingest_state text, OUT ingest_error text, OUT ingest_error_at timestamptz,
	OUT mirror_state text, OUT mirror_server text, OUT mirror_error text, OUT mirror_error_at timestamptz)
RETURNS record LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'ga_bridge_status_row';
COMMENT ON FUNCTION goldenarch.bridge_status_row() IS
'The row of view bridge_status. For members of pg_monitor, or with the permission. Permission: metrics.view.';
GRANT EXECUTE ON FUNCTION goldenarch.bridge_status_row() TO pg_monitor;

CREATE OR REPLACE VIEW goldenarch.bridge_status WITH (security_invoker = true, security_barrier = true) AS
SELECT s.state, s.server, s.published, s.acked, s.pending, s.consumed, s.failed, s.last_error,
	s.last_error_at, s.since, s.parked,
       s.ingest_state, s.ingest_error, s.ingest_error_at, s.mirror_state, s.mirror_server, s.mirror_error, s.mirror_error_at
FROM goldenarch.bridge_status_row() AS s;
COMMENT ON VIEW goldenarch.bridge_status IS
'One row: the bridge of this database. state: off, connecting, connected, down, or unknown where goldenarch is not preloaded (counts are then zero); published, acked: messages since server start; pending: messages not recorded as published, counted to 1000000, parked ones included; parked: those that no stream took so far; consumed, failed: handler calls since server start; last_error stays until the next. For members of pg_monitor, or with metrics.view. Permission: metrics.view.';
GRANT SELECT ON goldenarch.bridge_status TO pg_monitor;
