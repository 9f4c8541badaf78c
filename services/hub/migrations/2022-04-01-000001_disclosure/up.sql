-- Ranges of records that were delivered: written before the bytes leave, never changed, never per record.
-- "Who received this person's data" joins the person's record positions with these ranges.
CREATE TABLE disclosure (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             timestamptz NOT NULL,
    login          text        NOT NULL,
    subscription   text        NOT NULL,
    company        text        NOT NULL,
    purpose        text        NOT NULL,
    notice_version integer     NOT NULL,
    decision       text        NOT NULL,
    snapshot       bigint      NOT NULL,
    topic          text        NOT NULL,
    partition      integer     NOT NULL,
    first_offset   bigint      NOT NULL,
    last_offset    bigint      NOT NULL,
    delivered      bigint      NOT NULL,
    withheld       bigint      NOT NULL DEFAULT 0,
    CONSTRAINT disclosure_range CHECK (first_offset >= 0 AND last_offset >= first_offset),
    CONSTRAINT disclosure_counts CHECK (delivered >= 0 AND withheld >= 0)
);

CREATE INDEX disclosure_by_position ON disclosure (topic, partition, last_offset, first_offset);
CREATE INDEX disclosure_by_subscription ON disclosure (subscription, at);
