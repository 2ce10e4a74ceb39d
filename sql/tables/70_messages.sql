-- SPDX-License-Identifier: PostgreSQL
-- Messages: the outbox that the relay reads by snapshot difference, what the relay remembers of its
-- reading, subscriptions, the inbox that makes a second delivery harmless, and dead letters. Outbox
-- rows are never updated; retention deletes them once their publication is certain.

CREATE TYPE goldenarch.message AS (
	subject text,
	payload bytea,
	headers jsonb,
	stream text,
	seq int8,
	msg_id text,
	delivered int4,
	published_at timestamptz
);
COMMENT ON TYPE goldenarch.message IS 'What a handler gets: subject, payload as published, headers (a string, or an array of strings, a name), stream and sequence in it, message id (null: none), deliveries including this one, time of storage in the stream.';

CREATE SEQUENCE goldenarch.outbox_id;
CREATE TABLE goldenarch.outbox (
	tenant text COLLATE "C" NOT NULL,
	id int8 NOT NULL,
	cluster int8 NOT NULL,
	xid xid8 NOT NULL,
	subject text NOT NULL,
	msg_id text NOT NULL,
	headers jsonb NOT NULL,
	payload bytea NOT NULL,
	created_at timestamptz NOT NULL,
	PRIMARY KEY (tenant, id)
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.outbox IS 'Messages to publish, append only. cluster and xid say which transaction of which database cluster wrote a row: the relay publishes a row when a snapshot sees that transaction and the snapshot before did not.';
CREATE TABLE goldenarch.outbox_rows PARTITION OF goldenarch.outbox (UNIQUE (id)) DEFAULT;
COMMENT ON TABLE goldenarch.outbox_rows IS 'The rows of outbox.';
CREATE INDEX outbox_rows_xid ON goldenarch.outbox_rows (xid);
ALTER TABLE goldenarch.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.outbox FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.outbox USING (
	tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('message.publish'))
	AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('message.publish')));

CREATE SEQUENCE goldenarch.outbox_batch_id;
CREATE TABLE goldenarch.outbox_batches (
	id int8 PRIMARY KEY,
	cluster int8 NOT NULL,
	since pg_snapshot NOT NULL,
	upto pg_snapshot NOT NULL,
	last_id int8,
	at timestamptz NOT NULL
);
COMMENT ON TABLE goldenarch.outbox_batches IS 'How far the relay has read, append only; the newest row of a cluster counts. Rows that upto sees and since does not are the batch; last_id: published up to there in order of id, null: all of it.';

CREATE TABLE goldenarch.outbox_parked (
	outbox_id int8 PRIMARY KEY,
	subject text NOT NULL,
	attempts int4 NOT NULL,
	next_at timestamptz NOT NULL,
	error text NOT NULL
);
COMMENT ON TABLE goldenarch.outbox_parked IS 'Messages that were read but that no stream took: retried at next_at, dead-lettered past their attempts. Later messages of a parked subject wait behind it.';
CREATE INDEX outbox_parked_subject ON goldenarch.outbox_parked (subject, outbox_id);

CREATE TABLE goldenarch.subscriptions (
	name text PRIMARY KEY,
	stream text NOT NULL,
	subject text NOT NULL,
	handler text NOT NULL,
	pg_role name NOT NULL,
	max_deliver int4 NOT NULL CHECK (max_deliver OPERATOR(pg_catalog.>) 0),
	ack_wait interval NOT NULL,
	backoff interval[],
	batch int4 NOT NULL CHECK (batch OPERATOR(pg_catalog.>) 0),
	durable text NOT NULL UNIQUE,
	ack_floor int8 NOT NULL,
	stream_created int8 NOT NULL DEFAULT 0,
	created_by text NOT NULL,
	created_at timestamptz NOT NULL
);
COMMENT ON TABLE goldenarch.subscriptions IS 'Which handler gets what, and the PostgreSQL role it runs as. durable is the name of the JetStream consumer; up to ack_floor in the stream that was created at stream_created (ns since 1970) every message is acknowledged.';

CREATE TABLE goldenarch.inbox (
	subscription text NOT NULL,
	key text NOT NULL,
	stream text NOT NULL,
	seq int8 NOT NULL,
	handled_at timestamptz NOT NULL,
	PRIMARY KEY (subscription, key)
);
COMMENT ON TABLE goldenarch.inbox IS 'What a subscription is done with, handled or dead-lettered: the row commits with the handler''s effects. key: the message id, else sequence and time of storage.';
CREATE INDEX inbox_handled_at ON goldenarch.inbox (handled_at);

CREATE TABLE goldenarch.delivery_attempts (
	subscription text NOT NULL,
	key text NOT NULL,
	started int4 NOT NULL,
	failed int4 NOT NULL,
	error text,
	updated_at timestamptz NOT NULL,
	PRIMARY KEY (subscription, key)
);
COMMENT ON TABLE goldenarch.delivery_attempts IS 'Messages whose handler failed: started is committed before a repeated call, so that a message that kills the process is counted too.';

CREATE SEQUENCE goldenarch.dead_letter_id;
CREATE TABLE goldenarch.dead_letters (
	tenant text COLLATE "C" NOT NULL,
	id int8 NOT NULL,
	source text NOT NULL,
	subject text NOT NULL,
	payload bytea NOT NULL,
	headers jsonb NOT NULL,
	error text NOT NULL,
	error_count int4 NOT NULL,
	created_at timestamptz NOT NULL,
	origin text,
	stream text,
	seq int8,
	msg_id text,
	published_at timestamptz,
	retry_by text,
	resolved_at timestamptz,
	resolved_by text,
	resolution_notes text,
	PRIMARY KEY (tenant, id),
	CHECK (source OPERATOR(pg_catalog.=) 'publish' OR source OPERATOR(pg_catalog.=) 'consume' OR source OPERATOR(pg_catalog.=) 'task')
) PARTITION BY LIST (tenant);
COMMENT ON TABLE goldenarch.dead_letters IS 'What could not be published, handled or worked on, whole. origin: the subscription (consume), the outbox id (publish) or the task (task). retry_by: who asked for another delivery that has not happened yet.';
CREATE TABLE goldenarch.dead_letters_rows PARTITION OF goldenarch.dead_letters (UNIQUE (id)) DEFAULT;
COMMENT ON TABLE goldenarch.dead_letters_rows IS 'The rows of dead_letters.';
CREATE INDEX dead_letters_rows_retry ON goldenarch.dead_letters_rows (origin) WHERE retry_by IS NOT NULL;
ALTER TABLE goldenarch.dead_letters ENABLE ROW LEVEL SECURITY;
ALTER TABLE goldenarch.dead_letters FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON goldenarch.dead_letters USING (
	tenant OPERATOR(pg_catalog.>=) (SELECT goldenarch.tenant_floor('dlq.read'))
	AND tenant OPERATOR(pg_catalog.<=) (SELECT goldenarch.tenant_ceiling('dlq.read')));

SELECT pg_catalog.pg_extension_config_dump('goldenarch.outbox_id', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.outbox_rows', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.outbox_batch_id', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.outbox_batches', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.outbox_parked', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.subscriptions', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.inbox', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.delivery_attempts', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.dead_letter_id', '');
SELECT pg_catalog.pg_extension_config_dump('goldenarch.dead_letters_rows', '');
