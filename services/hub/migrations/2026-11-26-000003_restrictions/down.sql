ALTER TABLE disclosure DROP COLUMN restrictions, DROP COLUMN person_restrictions;
