ALTER TABLE person ADD CONSTRAINT person_merged_into_fkey FOREIGN KEY (merged_into) REFERENCES person (id) ON DELETE CASCADE;
CREATE TABLE person_contact (
    contact_id uuid PRIMARY KEY,
    person_id  uuid NOT NULL REFERENCES person (id)
);
INSERT INTO person_contact (contact_id, person_id) SELECT id, person_id FROM contact;
CREATE INDEX person_contact_by_person ON person_contact (person_id, contact_id);
CREATE TABLE contact_link (
    key        uuid    NOT NULL,
    contact_id uuid    NOT NULL,
    by_email   boolean NOT NULL,
    PRIMARY KEY (key, contact_id)
);
INSERT INTO contact_link (key, contact_id, by_email)
    SELECT email_link, id, true FROM contact WHERE email_link IS NOT NULL
    UNION ALL SELECT number_link, id, false FROM contact WHERE number_link IS NOT NULL
    UNION ALL SELECT other_number_link, id, false FROM contact WHERE other_number_link IS NOT NULL;
CREATE INDEX contact_link_by_contact ON contact_link (contact_id);
ALTER TABLE contact
    DROP COLUMN person_id, DROP COLUMN email_link, DROP COLUMN number_link, DROP COLUMN other_number_link;
