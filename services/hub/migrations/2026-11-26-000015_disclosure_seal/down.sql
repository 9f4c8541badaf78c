DROP TABLE disclosure_seal;
DROP FUNCTION disclosure_seal_stays;
DROP INDEX disclosure_due;
ALTER TABLE disclosure DROP COLUMN seal, DROP COLUMN sealed_at;
