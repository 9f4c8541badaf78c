ALTER TABLE disclosure RESET (fillfactor);
DROP INDEX disclosure_by_position;
ALTER TABLE disclosure DROP COLUMN reach;
CREATE INDEX disclosure_by_position ON disclosure (topic, partition, first_offset);
