-- SPDX-License-Identifier: PostgreSQL
-- The baseline of 15_audit: what applications write by hand. Each row holds the hash of the one
-- before it; the tail is locked until commit, or the chain forks. As cheap as that can be made: one
-- row for the tail, no search for it, sha256 in C, plans kept by PL/pgSQL.
CREATE TABLE chain (id bigint PRIMARY KEY, at timestamptz NOT NULL, actor text NOT NULL, action text NOT NULL,
    resource_type text NOT NULL, resource_id text NOT NULL, details jsonb, prev bytea NOT NULL, hash bytea NOT NULL);
CREATE TABLE chain_tail (one boolean PRIMARY KEY DEFAULT true, id bigint NOT NULL, hash bytea NOT NULL)
    WITH (fillfactor = 10);
INSERT INTO chain_tail (id, hash) VALUES (0, '\x00');

CREATE FUNCTION chain_append(action text, resource_type text, resource_id text, details jsonb) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    tail chain_tail;
    now timestamptz;
    next bytea;
BEGIN
    SELECT * INTO tail FROM chain_tail FOR NO KEY UPDATE;
    now := clock_timestamp();
    next := sha256(tail.hash || convert_to(concat_ws('|', tail.id + 1, extract(epoch FROM now), current_user,
        action, resource_type, resource_id, details), 'UTF8'));
    INSERT INTO chain VALUES (tail.id + 1, now, current_user, action, resource_type, resource_id, details,
        tail.hash, next);
    UPDATE chain_tail SET id = tail.id + 1, hash = next;
    RETURN tail.id + 1;
END $$;
