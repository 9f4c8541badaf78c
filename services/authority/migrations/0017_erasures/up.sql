-- Erasures. Contact ids are keyed pseudonyms; nothing else here says whom.
CREATE TABLE erasure (
    id          uuid PRIMARY KEY,
    contacts    text[] NOT NULL CHECK (cardinality(contacts) BETWEEN 1 AND 1000),
    person      uuid,
    reason      text NOT NULL CHECK (reason IN ('principal-request', 'no-longer-needed', 'unlawful', 'publisher-request')),
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL,
    -- Signed, as JSON; there when all is done.
    certificate text
);
CREATE INDEX erasure_open ON erasure (asked_at) WHERE certificate IS NULL;

-- Steps that were taken. What stands here is done; the next one is begun again, however often it was begun.
CREATE TABLE erasure_step (
    erasure uuid NOT NULL REFERENCES erasure (id),
    step    text NOT NULL CHECK (step IN
        ('recorded', 'fenced', 'destroyed', 'heard', 'tombstoned', 'forgotten', 'verified', 'certified')),
    at      timestamptz NOT NULL,
    PRIMARY KEY (erasure, step)
);

-- Where the tombstones are.
CREATE TABLE erasure_tombstone (
    erasure   uuid NOT NULL REFERENCES erasure (id),
    contact   text NOT NULL,
    topic     text NOT NULL,
    partition integer NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (erasure, contact)
);
