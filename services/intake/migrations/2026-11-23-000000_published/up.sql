-- What was published last under each id, without any content: a keyed digest tells whether something changed.
CREATE TABLE published (
    topic       smallint NOT NULL,
    record_id   uuid     NOT NULL,
    fingerprint uuid     NOT NULL,
    -- Acquisition day, or sequence: more is newer.
    rank        bigint   NOT NULL,
    filled      smallint NOT NULL,
    -- The request that published it, or saw it unchanged last.
    import      bigint   NOT NULL,
    partition   integer  NOT NULL,
    position    bigint   NOT NULL,
    -- Of a contact: keyed digest of its e-mail address, by which attendees of meetings find it.
    email_key   uuid,
    PRIMARY KEY (record_id, topic)
) WITH (fillfactor = 85);

CREATE INDEX published_email_key ON published (email_key) WHERE email_key IS NOT NULL;

-- Content that lost against another row of the same person in one file: it does not come back with the next export.
CREATE TABLE superseded (
    record_id   uuid NOT NULL,
    fingerprint uuid NOT NULL,
    PRIMARY KEY (record_id, fingerprint)
);
