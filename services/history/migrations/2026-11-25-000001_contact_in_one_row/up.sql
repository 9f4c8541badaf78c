-- A contact in one row: its person and what it is linked by were two tables beside it, which cost three rows, six index
-- entries and a foreign key for each contact and were never asked for without it.
ALTER TABLE contact
    ADD COLUMN person_id         uuid,
    -- Digests of (organisation, e-mail) and of (organisation, direct or mobile number).
    ADD COLUMN email_link        uuid,
    ADD COLUMN number_link       uuid,
    ADD COLUMN other_number_link uuid;
UPDATE contact c SET
    person_id = (SELECT person_id FROM person_contact WHERE contact_id = c.id),
    email_link = (SELECT key FROM contact_link WHERE contact_id = c.id AND by_email),
    number_link = (SELECT key FROM contact_link WHERE contact_id = c.id AND NOT by_email ORDER BY key LIMIT 1),
    other_number_link =
        (SELECT key FROM contact_link WHERE contact_id = c.id AND NOT by_email ORDER BY key LIMIT 1 OFFSET 1);
ALTER TABLE contact ALTER COLUMN person_id SET NOT NULL;
DROP TABLE contact_link;
DROP TABLE person_contact;
CREATE INDEX contact_by_person ON contact (person_id);
CREATE INDEX contact_by_email_link ON contact (email_link) WHERE email_link IS NOT NULL;
CREATE INDEX contact_by_number_link ON contact (number_link) WHERE number_link IS NOT NULL;
CREATE INDEX contact_by_other_number_link ON contact (other_number_link) WHERE other_number_link IS NOT NULL;

-- Each new person paid for this one. Whoever deletes a person deletes the redirects to it.
ALTER TABLE person DROP CONSTRAINT person_merged_into_fkey;
