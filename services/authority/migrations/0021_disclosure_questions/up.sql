-- Who asked who received whose data. Contact ids are keyed pseudonyms; nothing else here says whom.
CREATE TABLE disclosure_question (
    id       uuid PRIMARY KEY,
    contacts text[] NOT NULL,
    person   uuid,
    asked_by text NOT NULL REFERENCES operator (name),
    asked_at timestamptz NOT NULL,
    reason   text NOT NULL CHECK (reason <> ''),
    CONSTRAINT disclosure_question_of_somebody CHECK (cardinality(contacts) > 0 OR person IS NOT NULL)
);
CREATE INDEX disclosure_question_contacts ON disclosure_question USING gin (contacts);
CREATE INDEX erasure_contacts ON erasure USING gin (contacts);
CREATE INDEX erasure_person ON erasure (person) WHERE person IS NOT NULL;
