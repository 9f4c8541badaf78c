-- Restrictions on contacts: in force from receipt, lifted by another operator than the one who entered them. Ids and the
-- numbers of liftings are one strictly increasing sequence; nothing is ever deleted.
CREATE TABLE restriction (
    id            bigint PRIMARY KEY CHECK (id > 0),
    contact       uuid NOT NULL,
    measure       text NOT NULL CHECK (measure IN ('use', 'provision', 'mail')),
    reach         text NOT NULL CHECK (reach IN ('contact', 'person')),
    reason        text NOT NULL CHECK (reason <> ''),
    added_by      text NOT NULL REFERENCES operator (name),
    added_at      timestamptz NOT NULL,
    lifted_number bigint UNIQUE,
    lifted_by     text REFERENCES operator (name),
    lifted_at     timestamptz,
    lift_reason   text,
    CONSTRAINT restriction_four_eyes CHECK (lifted_by <> added_by),
    CONSTRAINT restriction_lifted_as_a_whole
        CHECK (num_nulls(lifted_number, lifted_by, lifted_at, lift_reason) IN (0, 4))
);
-- One of a kind at a time; also the order in which pages are read.
CREATE UNIQUE INDEX restriction_in_force ON restriction (contact, measure, reach) WHERE lifted_number IS NULL;
CREATE INDEX restriction_contact ON restriction (contact, id);

CREATE FUNCTION restriction_is_kept() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'restrictions are lifted, never deleted'; END $$;
CREATE TRIGGER restriction_kept BEFORE DELETE OR TRUNCATE ON restriction
    FOR EACH STATEMENT EXECUTE FUNCTION restriction_is_kept();

-- One row: the last number given. Whoever takes one holds it until the commit, so numbers are committed in their order.
CREATE TABLE restriction_issue (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint NOT NULL
);
INSERT INTO restriction_issue (number) VALUES (0);

-- Pages of the stop list: the last number that changed each, and what of it was told.
CREATE TABLE restriction_page (
    page    integer PRIMARY KEY CHECK (page BETWEEN 0 AND 4095),
    changed bigint  NOT NULL,
    told    bigint  NOT NULL DEFAULT 0,
    entries bigint  NOT NULL DEFAULT 0,
    digest  bytea   CHECK (length(digest) = 32)
);
