DROP TABLE disclosure, main_number, contact_link, person_contact, person, interaction, removed_contact, contact,
    organisation, writer_schema, quarantined, applied_offset;
