-- A number for each partition that is read, and the offset from which on positions of its records are kept: 0 but for what was
-- read before this table was there.
ALTER TABLE applied_offset
    ADD COLUMN place          integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    ADD COLUMN positions_from bigint  NOT NULL DEFAULT 0;
UPDATE applied_offset SET positions_from = next_offset;

-- Where every record of a contact stands, by its key: also of records that were superseded, withdrawn or could not be
-- applied. Never changed or deleted, not by an erasure either: who received an erased person's data must still be found. Rows are
-- written with the offset, so each once. Of tombstones there is none.
CREATE TABLE record_position (
    contact_id    uuid    NOT NULL,
    record_offset bigint  NOT NULL,
    place         integer NOT NULL
);
-- By the contact alone: equal keys share one entry of the index, which stays small enough for memory longer.
CREATE INDEX record_position_by_contact ON record_position (contact_id);

CREATE FUNCTION record_position_stays() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'positions of records are never changed or deleted'; END $$;
CREATE TRIGGER record_position_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON record_position
    FOR EACH STATEMENT EXECUTE FUNCTION record_position_stays();
