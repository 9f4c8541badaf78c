DROP INDEX erasure_person, erasure_contacts;
DROP TABLE disclosure_question;
