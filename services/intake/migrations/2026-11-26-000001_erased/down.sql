DROP TABLE erased;
DROP INDEX published_contact;
ALTER TABLE published DROP COLUMN contact;
