-- Audit logs that were begun after the first. A log that cannot be continued is put aside, with all tables that belong to it, in a
-- schema `audit_<its number>`; this table stays.
CREATE TABLE audit_log (
    number   integer     PRIMARY KEY CHECK (number > 1),
    begun_at timestamptz NOT NULL,
    -- The newest checkpoint that was signed of the one before.
    former   text        NOT NULL
);
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
