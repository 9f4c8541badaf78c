-- The audit log (docs/decisions/0015): leaves, the perfect nodes of their Merkle tree, and what was signed of it. Rows are
-- added and never changed; who changes them all the same is found out by the checkpoints that others keep.

CREATE TABLE audit_leaf (
    index bigint PRIMARY KEY CHECK (index >= 0),
    leaf  text   NOT NULL CHECK (leaf LIKE E'jointuse.audit/v1\n%')
);

CREATE TABLE audit_node (
    level smallint NOT NULL CHECK (level BETWEEN 0 AND 63),
    index bigint   NOT NULL CHECK (index >= 0),
    hash  bytea    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, index)
);
-- Whoever has a leaf asks where it is.
CREATE INDEX audit_node_leaf ON audit_node (hash) WHERE level = 0;

-- What a leaf commits to. Apart, because it is what may have to be forgotten: rows are deleted, the log stays valid.
CREATE TABLE audit_opening (
    index   bigint PRIMARY KEY REFERENCES audit_leaf (index),
    salt    bytea  NOT NULL CHECK (length(salt) = 32),
    payload bytea  NOT NULL
);

CREATE TABLE audit_checkpoint (
    size      bigint PRIMARY KEY CHECK (size > 0),
    note      text NOT NULL,
    signed_at timestamptz NOT NULL
);

-- Keys of members whose cosignatures are kept. Two operators let one in.
CREATE TABLE audit_cosigner (
    id           text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{8}$'),
    key          text NOT NULL CONSTRAINT audit_cosigner_key_unique UNIQUE,
    proposed_by  text NOT NULL REFERENCES operator (name),
    proposed_at  timestamptz NOT NULL,
    confirmed_by text REFERENCES operator (name),
    confirmed_at timestamptz,
    removed_by   text REFERENCES operator (name),
    removed_at   timestamptz,
    CONSTRAINT audit_cosigner_four_eyes CHECK (confirmed_by <> proposed_by),
    CONSTRAINT audit_cosigner_confirmed CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
    CONSTRAINT audit_cosigner_removed CHECK ((removed_by IS NULL) = (removed_at IS NULL))
);

CREATE TABLE audit_cosignature (
    size        bigint NOT NULL REFERENCES audit_checkpoint (size),
    cosigner    text   NOT NULL REFERENCES audit_cosigner (id),
    -- The checkpoint with this one signature.
    note        text   NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (size, cosigner)
);

-- Where reading the ledgers' leaves goes on. Changed in the transaction that appends them.
CREATE TABLE audit_source (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, partition)
);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_leaf_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_node_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_node
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_cosignature_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_cosignature
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_opening_never_changed BEFORE UPDATE OR TRUNCATE ON audit_opening
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
