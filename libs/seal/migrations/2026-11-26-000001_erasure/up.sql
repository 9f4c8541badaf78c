-- Which services keep nothing of an erased contact any more, and since when.
CREATE TABLE keys.forgotten (
    contact bytea       NOT NULL REFERENCES keys.fence (contact),
    service text        NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (contact, service)
);

-- Where this database runs: the server and its timeline. A restored or promoted server begins a new timeline, and one that
-- was filled from a dump is another server. While a server recovers this fails.
CREATE FUNCTION keys.here() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()
$$;

-- Where all fences are known to stand. Anywhere else some may be missing, and no key is given out until they were
-- replayed.
CREATE TABLE keys.complete (
    place text        PRIMARY KEY,
    since timestamptz NOT NULL DEFAULT now()
);
INSERT INTO keys.complete (place) SELECT keys.here();

-- Which ledger the fences are kept in, apart from this database.
CREATE TABLE keys.ledger (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id  uuid    NOT NULL
);
