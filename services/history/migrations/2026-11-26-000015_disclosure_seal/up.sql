-- By which seal a row went into the audit log, and the salt of its digest there. Rows name people, so the seal holds a salted digest
-- of each: a row that is erased takes its salt with it, and the others can be checked all the same.
ALTER TABLE disclosure ADD COLUMN seal bigint, ADD COLUMN salt bytea CHECK (length(salt) = 32);
CREATE INDEX disclosure_due ON disclosure (id) WHERE seal IS NULL;

-- What was sealed, in a row: the text of the rows, and the leaf that commits to it, on its way to the audit log. Numbered
-- without gaps; never changed but for when the brokers took the leaf.
CREATE TABLE disclosure_seal (
    id          bigint PRIMARY KEY CHECK (id > 0),
    sealed_at   timestamptz NOT NULL,
    leaf        text  NOT NULL,
    salt        bytea NOT NULL CHECK (length(salt) = 32),
    payload     bytea NOT NULL,
    produced_at timestamptz
);
CREATE INDEX disclosure_seal_left ON disclosure_seal (id) WHERE produced_at IS NULL;

CREATE FUNCTION disclosure_seal_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (NEW.id, NEW.sealed_at, NEW.leaf, NEW.salt, NEW.payload) IS NOT DISTINCT FROM
           (OLD.id, OLD.sealed_at, OLD.leaf, OLD.salt, OLD.payload) AND OLD.produced_at IS NULL THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'seals of disclosures are never changed or deleted';
END $$;
CREATE TRIGGER disclosure_seal_stays BEFORE UPDATE OR DELETE ON disclosure_seal
    FOR EACH ROW EXECUTE FUNCTION disclosure_seal_stays();
