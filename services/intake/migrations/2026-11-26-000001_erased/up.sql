-- Whom a record is about, where its own id does not say it: by this an erased person's digests are found. Absent for
-- contacts, and for what was published before this column was there.
ALTER TABLE published ADD COLUMN contact uuid;
CREATE INDEX published_contact ON published (contact) WHERE contact IS NOT NULL;

-- Contacts that were erased, for ever: nothing of them is remembered any more.
CREATE TABLE erased (
    contact uuid PRIMARY KEY
);
