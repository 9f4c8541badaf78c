-- Keys of contacts, wrapped. Nothing personal is in here: a contact id is a keyed pseudonym, and a wrapped key opens
-- nothing without the key-encryption key, which is not in this database.
CREATE SCHEMA keys;
REVOKE ALL ON SCHEMA keys FROM PUBLIC;

-- Key-encryption keys that were ever used here. The proof is a random key wrapped under it: whoever comes with another key
-- under the same id is found out before he wraps anything. A retired one wraps nothing any more.
CREATE TABLE keys.kek (
    id      text        PRIMARY KEY,
    proof   bytea       NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    retired timestamptz
);

CREATE TABLE keys.wrapped (
    contact bytea       NOT NULL,
    version integer     NOT NULL,
    kek     text        NOT NULL,
    wrapped bytea       NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    -- When an existing contact was given a new version; 0 for a contact's first.
    epoch   bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (contact, version),
    CONSTRAINT wrapped_contact CHECK (octet_length(contact) = 16),
    CONSTRAINT wrapped_version CHECK (version >= 1)
);
CREATE INDEX wrapped_by_kek ON keys.wrapped (kek, contact, version);
CREATE INDEX wrapped_by_epoch ON keys.wrapped (epoch) WHERE epoch > 0;

-- Erased contacts, for ever. There is no way out of this table.
CREATE TABLE keys.fence (
    contact   bytea       PRIMARY KEY,
    fenced    timestamptz NOT NULL,
    destroyed timestamptz,
    epoch     bigint      NOT NULL,
    CONSTRAINT fence_contact CHECK (octet_length(contact) = 16)
);
CREATE INDEX fence_by_epoch ON keys.fence (epoch);

CREATE FUNCTION keys.fences_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a fence is for ever';
END $$;
CREATE TRIGGER fences_stay BEFORE DELETE OR TRUNCATE ON keys.fence FOR EACH STATEMENT EXECUTE FUNCTION keys.fences_stay();

-- Counts changes that caches must hear of (fences, new versions). It is raised in the transaction that makes the change,
-- and the row's lock makes the order of numbers the order of commits: a reader that saw n has seen all up to n.
CREATE TABLE keys.epoch (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    n   bigint  NOT NULL
);
INSERT INTO keys.epoch (n) VALUES (0);
