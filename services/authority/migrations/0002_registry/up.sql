-- The schema registry. A schema, once registered, is never changed and never deleted: records that were written by it may
-- be read for as long as a topic keeps them.

CREATE TABLE registry_schema (
    -- The id that stands in front of every record. One sequence, never reset.
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of the normal form (contract::Schema::identity): one schema, one id, under however many subjects.
    identity      bytea NOT NULL CONSTRAINT registry_schema_identity_unique UNIQUE CHECK (length(identity) = 32),
    -- As its author wrote it.
    text          text NOT NULL CHECK (text <> ''),
    registered_at timestamptz NOT NULL,
    registered_by text NOT NULL
);

CREATE TABLE registry_version (
    subject       text NOT NULL CHECK (subject LIKE 'jointuse.%-value'),
    version       integer NOT NULL CHECK (version > 0),
    schema_id     integer NOT NULL REFERENCES registry_schema (id),
    registered_at timestamptz NOT NULL,
    registered_by text NOT NULL,
    PRIMARY KEY (subject, version),
    CONSTRAINT registry_version_once UNIQUE (subject, schema_id)
);
CREATE INDEX registry_version_schema ON registry_version (schema_id);

-- Compatibility levels; the empty subject is the registry's own.
CREATE TABLE registry_config (
    subject       text PRIMARY KEY,
    compatibility text NOT NULL CHECK (compatibility IN ('NONE', 'BACKWARD', 'BACKWARD_TRANSITIVE',
        'FORWARD', 'FORWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE')),
    set_at        timestamptz NOT NULL,
    set_by        text NOT NULL
);

CREATE FUNCTION registry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'registered schemas are never changed or deleted'; END $$;
CREATE TRIGGER registry_schema_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON registry_schema
    FOR EACH STATEMENT EXECUTE FUNCTION registry_is_append_only();
CREATE TRIGGER registry_version_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON registry_version
    FOR EACH STATEMENT EXECUTE FUNCTION registry_is_append_only();
