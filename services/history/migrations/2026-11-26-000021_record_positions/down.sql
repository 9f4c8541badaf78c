DROP TABLE record_position;
DROP FUNCTION record_position_stays;
ALTER TABLE applied_offset DROP COLUMN place, DROP COLUMN positions_from;
