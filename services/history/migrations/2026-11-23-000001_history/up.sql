-- Where reading goes on. Changed in the same transaction as the rows, so what Kafka delivers at least once is applied
-- exactly once.
CREATE TABLE applied_offset (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, partition)
);

-- Records that could not be applied: where and why, never what.
CREATE TABLE quarantined (
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    record_offset bigint      NOT NULL,
    reason        text        NOT NULL,
    schema_id     bigint,
    at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, record_offset)
);

-- Schemas of the registry, kept so that a restart does not need it. Ids are never reused.
CREATE TABLE writer_schema (
    id   bigint PRIMARY KEY,
    text text   NOT NULL
);

-- Client organisations, by normalised name.
CREATE TABLE organisation (
    id   uuid PRIMARY KEY,
    key  text COLLATE "C" NOT NULL UNIQUE,
    name text NOT NULL
);

-- The newest record of each contact.
CREATE TABLE contact (
    id              uuid        PRIMARY KEY,
    company         text        NOT NULL,
    recorded_at     timestamptz NOT NULL,
    record_offset   bigint      NOT NULL,
    occurred_at     timestamptz NOT NULL,
    acquired_by     text        NOT NULL,
    acquired_on     date        NOT NULL,
    acquired_for    text        NOT NULL,
    acquired_from   text        NOT NULL,
    organisation_id uuid,
    name_key        text COLLATE "C" NOT NULL,
    name_whole      boolean     NOT NULL,
    email_key       text COLLATE "C",
    content         jsonb       NOT NULL
);
CREATE INDEX contact_by_name ON contact (name_key) WHERE name_key <> '';
CREATE INDEX contact_by_email ON contact (email_key) WHERE email_key IS NOT NULL;
CREATE INDEX contact_by_organisation ON contact (organisation_id, occurred_at, id) WHERE organisation_id IS NOT NULL;

-- Contacts that their publisher took back, and when: what arrives late about them is not stored.
CREATE TABLE removed_contact (
    contact_id uuid        PRIMARY KEY,
    removed_at timestamptz NOT NULL
);

-- Transactions, meetings, contact events and behaviour. The newest version of each record.
CREATE TABLE interaction (
    record_id       uuid        NOT NULL,
    contact_id      uuid        NOT NULL,
    kind            text        NOT NULL,
    company         text        NOT NULL,
    occurred_at     timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    sequence        integer     NOT NULL,
    record_offset   bigint      NOT NULL,
    acquired_by     text        NOT NULL,
    acquired_on     date        NOT NULL,
    acquired_for    text        NOT NULL,
    acquired_from   text        NOT NULL,
    organisation_id uuid,
    content         jsonb       NOT NULL,
    PRIMARY KEY (record_id, contact_id)
);
CREATE INDEX interaction_by_contact ON interaction (contact_id, occurred_at, record_id);
CREATE INDEX interaction_by_organisation ON interaction (organisation_id, occurred_at, record_id, contact_id)
    WHERE organisation_id IS NOT NULL;

-- Clusters of contacts. A person that was merged into another stays as a redirect.
CREATE TABLE person (
    id          uuid        PRIMARY KEY,
    age         bigint      GENERATED ALWAYS AS IDENTITY,
    created_at  timestamptz NOT NULL DEFAULT now(),
    merged_into uuid        REFERENCES person (id) ON DELETE CASCADE
);
CREATE INDEX person_merged_into ON person (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE person_contact (
    contact_id uuid PRIMARY KEY,
    person_id  uuid NOT NULL REFERENCES person (id)
);
CREATE INDEX person_contact_by_person ON person_contact (person_id, contact_id);

-- By what contacts may be linked: digests of (organisation, e-mail) and (organisation, direct or mobile number).
CREATE TABLE contact_link (
    key        uuid    NOT NULL,
    contact_id uuid    NOT NULL,
    by_email   boolean NOT NULL,
    PRIMARY KEY (key, contact_id)
);
CREATE INDEX contact_link_by_contact ON contact_link (contact_id);

-- Links that were ever seen as an organisation's main number: they never link people.
CREATE TABLE main_number (
    key uuid PRIMARY KEY
);

-- Answers given: durable before they leave, never changed.
CREATE TABLE disclosure (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL,
    login           text        NOT NULL,
    subscription    text        NOT NULL,
    company         text        NOT NULL,
    purpose         text        NOT NULL,
    notice_version  integer     NOT NULL,
    snapshot        bigint      NOT NULL,
    endpoint        text        NOT NULL,
    topics          text[]      NOT NULL,
    decisions       text[]      NOT NULL,
    person_id       uuid,
    organisation_id uuid,
    contacts        uuid[]      NOT NULL,
    entries         integer     NOT NULL,
    CONSTRAINT disclosure_decided CHECK (cardinality(topics) > 0 AND cardinality(topics) = cardinality(decisions)),
    CONSTRAINT disclosure_counts CHECK (entries >= 0)
);
CREATE INDEX disclosure_by_subscription ON disclosure (subscription, at);
CREATE INDEX disclosure_by_contact ON disclosure USING gin (contacts);
