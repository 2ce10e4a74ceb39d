-- SPDX-License-Identifier: PostgreSQL
-- Messages without a bridge: what publish() takes and refuses, what stands in the outbox after a
-- rollback, subscriptions, dead letters and who may touch them.
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
CREATE ROLE messages_joe LOGIN;
CREATE FUNCTION goldenarch_test_error(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; said text; why text;
BEGIN
	EXECUTE query;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, said = MESSAGE_TEXT, why = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' | ', code, said, nullif(why, ''));
END $$;

-- A message is a row of the transaction that publishes it.
SELECT goldenarch.publish('prc.review.done', '{"a": 1}') > 0 AS published;
BEGIN;
SELECT goldenarch.publish('prc.review.done', '{"a": 2}') > 0 AS published;
ROLLBACK;
BEGIN;
SELECT goldenarch.publish('prc.review.done', '[3]', '{"Trace": "x", "Many": ["a", "b"]}', 'mine-1') > 0 AS published;
SAVEPOINT s;
SELECT goldenarch.publish('prc.review.done', '{"a": 4}') > 0 AS published;
ROLLBACK TO s;
COMMIT;
SELECT goldenarch.publish_bytes('prc.review.raw', '\x00ff', null) > 0 AS published;
SELECT tenant, subject, headers, payload, CASE WHEN msg_id ~ '^[0-9]+-[0-9]+$' THEN 'made' ELSE msg_id END AS msg_id
FROM goldenarch.outbox ORDER BY id;

-- What is refused, and with what.
SELECT goldenarch_test_error(format('SELECT goldenarch.publish(%s)', args)) AS error, args
FROM unnest(ARRAY[
	$$null, '{}'$$, $$'', '{}'$$, $$'a b', '{}'$$, $$'a..b', '{}'$$, $$'a.*', '{}'$$, $$'a.>', '{}'$$, $$'$JS.API.STREAM.DELETE.PRC', '{}'$$,
	$$'_INBOX.x', '{}'$$, $$E'a\r\nPUB b 1', '{}'$$, $$'a', null$$, $$'a', '{}', '[]'$$, $$'a', '{}', '{"x": 1}'$$, $$'a', '{}', '{"x": {"y": "z"}}'$$,
	$$'a', '{}', '{"x": [["y"]]}'$$, $$'a', '{}', '{"x y": "z"}'$$, $$'a', '{}', '{"": "z"}'$$, $$'a', '{}', '{"x": "a\r\nNats-Rollup: all"}'$$,
	$$'a', '{}', '{"nats-rollup": "all"}'$$, $$'a', '{}', '{"Ga-Tenant": "acme"}'$$, $$'a', '{}', '{}', ''$$, $$'a', '{}', '{}', '{acme}x'$$,
	$$'a', '{}', '{}', 'a b'$$, $$'a', '{}', '{}', repeat('x', 129)$$, $$'a', to_jsonb(repeat('x', 1100000))$$,
	$$'a', '{}', jsonb_build_object('x', repeat('y', 17000))$$, $$'a', '{}', (SELECT jsonb_object_agg('h' || i, 'v') FROM generate_series(1, 65) i)$$,
	$$'a', '{}', (SELECT jsonb_build_object('h', jsonb_agg('v'::text)) FROM generate_series(1, 65) i)$$
]) args;
SELECT goldenarch_test_error('SELECT goldenarch.publish_bytes(''a'', null)') AS error;
BEGIN READ ONLY;
SELECT goldenarch_test_error('SELECT goldenarch.publish(''a'', ''{}'')') AS error;
ROLLBACK;

-- Subscriptions.
CREATE FUNCTION messages_handler(goldenarch.message) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION messages_wrong_argument(text) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION messages_wrong_result(goldenarch.message) RETURNS integer LANGUAGE sql AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION messages_handler FROM PUBLIC;
SELECT goldenarch.subscribe('reviews', 'PRC', 'prc.review.*', 'messages_handler');
SELECT goldenarch.subscribe('reviews', 'PRC', 'prc.review.>', 'messages_handler', 3, '10 s', '{1 s,5 s}', 10);
SELECT name, stream, subject, handler, pg_role = current_user AS mine, max_deliver, ack_wait, backoff, batch, durable ~ '^reviews_[0-9a-f]{8}$' AS durable
FROM goldenarch.subscriptions;
SELECT action, resource_id, details->>'handler' AS handler FROM goldenarch.audit_log WHERE action LIKE 'message.%' ORDER BY id;
SELECT goldenarch_test_error(format('SELECT goldenarch.subscribe(%s)', args)) AS error, args
FROM unnest(ARRAY[
	$$null, 'PRC', 'prc.a', 'messages_handler'$$, $$'Bad Name', 'PRC', 'prc.a', 'messages_handler'$$, $$'a', null, 'prc.a', 'messages_handler'$$,
	$$'a', 'P.RC', 'prc.a', 'messages_handler'$$, $$'a', 'PRC', 'prc..a', 'messages_handler'$$, $$'a', 'PRC', 'prc.>.a', 'messages_handler'$$,
	$$'a', 'PRC', 'prc.a', null$$, $$'a', 'PRC', 'prc.a', 'nowhere'$$, $$'a', 'PRC', 'prc.a', 0$$, $$'a', 'PRC', 'prc.a', 'messages_wrong_argument'$$,
	$$'a', 'PRC', 'prc.a', 'messages_wrong_result'$$, $$'a', 'PRC', 'prc.a', 'messages_handler', 0$$, $$'a', 'PRC', 'prc.a', 'messages_handler', 101$$,
	$$'a', 'PRC', 'prc.a', 'messages_handler', 5, '1 ms'$$, $$'a', 'PRC', 'prc.a', 'messages_handler', 5, '1 month'$$,
	$$'a', 'PRC', 'prc.a', 'messages_handler', 5, '1 s', '{}'$$, $$'a', 'PRC', 'prc.a', 'messages_handler', 5, '1 s', '{-1 s}'$$,
	$$'a', 'PRC', 'prc.a', 'messages_handler', 5, '1 s', array[null]::interval[]$$, $$'a', 'PRC', 'prc.a', 'messages_handler', 5, '1 s', null, 0$$
]) args;
SELECT goldenarch.unsubscribe('reviews') AS ended, goldenarch.unsubscribe('reviews') AS again;
SELECT goldenarch_test_error('SELECT goldenarch.unsubscribe(null)') AS error;

-- Dead letters: rows are planted here; the bridge makes real ones in test/tap/70_bridge.pl.
INSERT INTO goldenarch.dead_letters_rows (tenant, id, source, subject, payload, headers, error, error_count, created_at, origin)
VALUES ('', 1, 'publish', 'prc.a.b', '{"x": 1}', '{"H": "v"}', 'no stream', 8, '2026-01-01', '1'),
       ('', 2, 'consume', 'prc.a.b', 'text', '{}', 'boom', 5, '2026-01-01', 'gone'),
       ('acme', 3, 'publish', 'prc.a.c', '\x00ff', '{}', 'no stream', 8, '2026-01-01', '2'),
       ('', 4, 'publish', 'prc.a.d', '{"x": 1, "x": 2}', '{}', 'no stream', 8, '2026-01-01', '3');
SELECT id, original_subject, data, error_count, source, resolved FROM goldenarch.dlq_messages ORDER BY id;
SELECT goldenarch.dlq_retry(1);
SELECT subject, headers, payload FROM goldenarch.outbox ORDER BY id DESC LIMIT 1;
SELECT goldenarch.dlq_resolve(3, 'not wanted');
SELECT id, resolved, resolved_by = current_user AS by_me, resolution_notes ~ 'published again as|not wanted' AS noted FROM goldenarch.dlq_messages ORDER BY id;
SELECT goldenarch_test_error(query) AS error, query FROM unnest(ARRAY[
	'SELECT goldenarch.dlq_retry(1)', 'SELECT goldenarch.dlq_retry(2)', 'SELECT goldenarch.dlq_retry(99)', 'SELECT goldenarch.dlq_retry(null)',
	'SELECT goldenarch.dlq_retry(0)', 'SELECT goldenarch.dlq_resolve(3, ''again'')', 'SELECT goldenarch.dlq_resolve(2, null)',
	'SELECT goldenarch.dlq_resolve(2, '''')', 'SELECT goldenarch.dlq_resolve(2, repeat(''x'', 2001))', 'SELECT goldenarch.dlq_retry_all(null)']) query;
SELECT goldenarch.dlq_retry_all('prc.b%') AS none, goldenarch.dlq_retry_all() AS one;

-- Tenants: what a caller with a tenant sends and sees is its own.
INSERT INTO goldenarch.dead_letters_rows (tenant, id, source, subject, payload, headers, error, error_count, created_at, origin)
VALUES ('acme', 5, 'publish', 'prc.t.a', '1', '{}', 'no stream', 8, '2026-01-01', '5'),
       ('', 6, 'publish', 'prc.t.b', '2', '{}', 'no stream', 8, '2026-01-01', '6'),
       ('globex', 7, 'publish', 'prc.t.c', '3', '{}', 'no stream', 8, '2026-01-01', '7');
INSERT INTO goldenarch.role_mappings (tenant, pg_role, subject, roles) VALUES ('acme', 'messages_joe', 'joe', '{operator}');
GRANT USAGE ON SCHEMA goldenarch TO messages_joe;
GRANT EXECUTE ON FUNCTION goldenarch.publish, goldenarch.dlq_retry, goldenarch.dlq_retry_all, goldenarch.dlq_resolve TO messages_joe;
GRANT SELECT ON goldenarch.dlq_messages, goldenarch.dead_letters TO messages_joe;
SET ROLE messages_joe;
SELECT goldenarch.publish('prc.t.a', '{}', null, 'mine-1') > 0 AS published;
SELECT id, tenant, resolved FROM goldenarch.dlq_messages ORDER BY id;
SELECT goldenarch_test_error(query) AS error, query FROM unnest(ARRAY['SELECT goldenarch.dlq_retry(6)', 'SELECT goldenarch.dlq_retry(7)',
	'SELECT goldenarch.dlq_resolve(6, ''x'')', 'SELECT goldenarch.dlq_resolve(7, ''x'')', 'SELECT goldenarch.dlq_retry(99)']) query;
SELECT goldenarch.dlq_retry_all() AS one;
RESET ROLE;
SELECT tenant, subject, msg_id FROM goldenarch.outbox WHERE msg_id LIKE '%mine-1' ORDER BY id;
SELECT id, tenant, resolved FROM goldenarch.dlq_messages WHERE id >= 5 ORDER BY id;
DELETE FROM goldenarch.role_mappings WHERE pg_role = 'messages_joe';

-- Permissions: the privilege on the object is not enough.
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA goldenarch TO messages_joe;
GRANT SELECT ON goldenarch.dlq_messages, goldenarch.dead_letters TO messages_joe;
SET ROLE messages_joe;
SELECT count(*) FROM goldenarch.dlq_messages;
SELECT goldenarch.publish(null, null);
SELECT goldenarch.publish_bytes(null, null);
SELECT goldenarch.subscribe(null, null, null, null);
SELECT goldenarch.unsubscribe(null);
SELECT goldenarch.dlq_retry(null);
SELECT goldenarch.dlq_retry_all(null);
SELECT goldenarch.dlq_resolve(null, null);
SELECT goldenarch.bridge_status_row();
RESET ROLE;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA goldenarch FROM messages_joe;
REVOKE ALL ON goldenarch.dlq_messages, goldenarch.dead_letters FROM messages_joe;
REVOKE ALL ON SCHEMA goldenarch FROM messages_joe;

DROP FUNCTION messages_handler, messages_wrong_argument, messages_wrong_result, goldenarch_test_error;
DROP ROLE messages_joe;
SELECT state, server, published, acked, pending > 0 AS pending, consumed, failed, last_error, parked FROM goldenarch.bridge_status;

-- Retention: never what is not recorded as published, nor what is parked.
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'message_retention';
UPDATE goldenarch.outbox_rows SET created_at = '2020-01-01';
SELECT affected FROM goldenarch.run_maintenance() WHERE job = 'message_retention';
INSERT INTO goldenarch.outbox_parked (outbox_id, subject, attempts, next_at, error) SELECT id, subject, 1, now(), 'x' FROM goldenarch.outbox WHERE subject = 'prc.review.raw';
INSERT INTO goldenarch.outbox_batches (id, cluster, since, upto, last_id, at)
SELECT n, system_identifier, CASE WHEN n = 1 THEN '3:3:' ELSE pg_current_snapshot() END, pg_current_snapshot(), null, '2020-01-01' FROM pg_control_system(), generate_series(1, 2) n;
SELECT goldenarch.publish('prc.review.late', '{}') > 0 AS published;
UPDATE goldenarch.outbox_rows SET created_at = '2020-01-01';
INSERT INTO goldenarch.inbox (subscription, key, stream, seq, handled_at) VALUES ('gone', 'a', 'PRC', 1, '2020-01-01'), ('live', 'a', 'PRC', 1, '2020-01-01'),
	('live', 'b', 'PRC', 2, '2020-01-01'), ('live', 'c', 'PRC', 3, now());
INSERT INTO goldenarch.subscriptions (name, stream, subject, handler, pg_role, max_deliver, ack_wait, batch, durable, ack_floor, created_by, created_at)
VALUES ('live', 'PRC', 'prc.a.*', 'x', 'nobody', 1, '1 s', 1, 'live_1', 1, 'x', now());
UPDATE goldenarch.dead_letters_rows SET resolved_at = '2020-01-01' WHERE id = 1;
SELECT affected > 0 AS affected FROM goldenarch.run_maintenance() WHERE job = 'message_retention';
SELECT subject FROM goldenarch.outbox ORDER BY id;
SELECT id FROM goldenarch.outbox_batches;
SELECT subscription, key FROM goldenarch.inbox ORDER BY 1, 2;
SELECT min(id) AS first_letter FROM goldenarch.dead_letters;
