DROP TABLE erased_contact;
