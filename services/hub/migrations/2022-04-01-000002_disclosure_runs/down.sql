DROP INDEX disclosure_by_position;
CREATE INDEX disclosure_by_position ON disclosure (topic, partition, last_offset, first_offset);
ALTER TABLE disclosure
    DROP COLUMN open,
    DROP COLUMN until,
    DROP COLUMN id,
    ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
