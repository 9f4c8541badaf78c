ALTER TABLE disclosure DROP COLUMN restrictions;
