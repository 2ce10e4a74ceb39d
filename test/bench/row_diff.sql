-- SPDX-License-Identifier: PostgreSQL
-- The baseline of 16_row_audit: a generic row-diff trigger as applications write it: who, when, the
-- key, of old and new row only the columns that changed. Neither hashed nor sealed; one index.
CREATE TABLE row_changes (id bigserial PRIMARY KEY, at timestamptz NOT NULL, actor text NOT NULL, xid xid8 NOT NULL,
    relation text NOT NULL, op text NOT NULL, key jsonb, old jsonb, new jsonb);

CREATE FUNCTION row_diff() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    now jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    before jsonb := was;
    after jsonb := now;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        SELECT jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, now -> o.key) INTO before, after
        FROM jsonb_each(was) o WHERE o.value IS DISTINCT FROM now -> o.key;
        IF before IS NULL THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO row_changes (at, actor, xid, relation, op, key, old, new)
    VALUES (clock_timestamp(), current_user, pg_current_xact_id(), TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME, TG_OP,
        jsonb_build_object('id', coalesce(now, was) -> 'id'), before, after);
    RETURN NULL;
END $$;
