-- Contacts that were erased, for ever: nothing of them is stored any more, whatever is still on its way.
CREATE TABLE erased_contact (
    contact_id uuid        PRIMARY KEY,
    at         timestamptz NOT NULL
);
