-- What Holdings decided: operators, companies, notices, grants, credentials, and the record of who did what.
-- The rules that must never fail are constraints here as well as code: four eyes, closed states, one number a company.

CREATE TABLE operator (
    name          text PRIMARY KEY,
    roles         text[] NOT NULL CHECK (cardinality(roles) > 0 AND roles <@ ARRAY['steward', 'access-officer', 'privacy-officer', 'auditor']),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    added_at      timestamptz NOT NULL,
    disabled_at   timestamptz
);

CREATE TABLE company (
    id               text PRIMARY KEY CHECK (id ~ '^[a-z][a-z0-9-]{0,39}$'),
    corporate_number text NOT NULL CONSTRAINT company_corporate_number_unique UNIQUE CHECK (corporate_number ~ '^[0-9]{13}$'),
    name_ja          text NOT NULL CHECK (name_ja <> ''),
    name_en          text NOT NULL CHECK (name_en <> ''),
    country          text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    foreign_basis    text CHECK (foreign_basis IN ('consent', 'equivalent-country', 'conforming-system')),
    membership       text NOT NULL CHECK (membership IN
        ('none', 'drafted', 'notified', 'published', 'evidence-checked', 'active', 'suspended', 'exiting', 'ended')),
    registered_at    timestamptz NOT NULL,
    registered_by    text NOT NULL REFERENCES operator (name)
);

CREATE TABLE notice (
    company                text NOT NULL REFERENCES company (id),
    version                integer NOT NULL CHECK (version > 0),
    state                  text NOT NULL CHECK (state IN
        ('drafted', 'notified', 'published', 'evidence-checked', 'active', 'superseded', 'withdrawn')),
    url                    text NOT NULL CHECK (url ~ '^https?://'),
    items                  text[] NOT NULL CHECK (cardinality(items) > 0),
    scope_rule             text NOT NULL CHECK (scope_rule <> ''),
    purposes               text[] NOT NULL CHECK (cardinality(purposes) > 0),
    manager_name           text NOT NULL CHECK (manager_name <> ''),
    manager_address        text NOT NULL CHECK (manager_address <> ''),
    manager_representative text,
    published_at           timestamptz NOT NULL,
    effective_from         timestamptz NOT NULL,
    drafted_by             text NOT NULL REFERENCES operator (name),
    drafted_at             timestamptz NOT NULL,
    activated_by           text REFERENCES operator (name),
    activated_at           timestamptz,
    -- The decision of counsel that allowed items or scope to grow (Art. 27(6)): who, when, why.
    change_decision        text,
    PRIMARY KEY (company, version),
    CONSTRAINT notice_four_eyes CHECK (activated_by <> drafted_by),
    CONSTRAINT notice_published_before_effective CHECK (published_at <= effective_from),
    CONSTRAINT notice_activated_by_somebody CHECK (state NOT IN ('active', 'superseded') OR activated_by IS NOT NULL)
);

CREATE TABLE notice_evidence (
    company     text NOT NULL,
    version     integer NOT NULL,
    file_name   text NOT NULL CHECK (file_name <> ''),
    sha256      bytea NOT NULL,
    content     bytea NOT NULL CHECK (length(content) > 0),
    recorded_by text NOT NULL REFERENCES operator (name),
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (company, version),
    FOREIGN KEY (company, version) REFERENCES notice (company, version),
    CONSTRAINT evidence_is_what_its_hash_says CHECK (sha256 = sha256(content))
);

-- Publications and subscriptions: the same life, another right.
CREATE TABLE access_grant (
    kind         text NOT NULL CHECK (kind IN ('publication', 'subscription')),
    id           text NOT NULL CHECK (id ~ '^[a-z][a-z0-9-]{0,39}$'),
    company      text NOT NULL REFERENCES company (id),
    state        text NOT NULL CHECK (state IN ('requested', 'approved', 'declined', 'suspended', 'revoked')),
    topics       text[] NOT NULL CHECK (cardinality(topics) > 0),
    items        text[] NOT NULL CHECK (cardinality(items) > 0),
    purpose      text NOT NULL,
    term_from    timestamptz NOT NULL,
    term_until   timestamptz NOT NULL,
    requested_by text NOT NULL REFERENCES operator (name),
    requested_at timestamptz NOT NULL,
    decided_by   text REFERENCES operator (name),
    decided_at   timestamptz,
    -- Last step: who, when, why.
    stepped_by   text NOT NULL REFERENCES operator (name),
    stepped_at   timestamptz NOT NULL,
    reason       text NOT NULL,
    PRIMARY KEY (kind, id),
    CONSTRAINT grant_four_eyes CHECK (decided_by <> requested_by),
    CONSTRAINT grant_decided_by_somebody CHECK (state NOT IN ('approved', 'declined', 'suspended') OR (decided_by IS NOT NULL AND decided_at IS NOT NULL)),
    CONSTRAINT grant_term CHECK (term_from < term_until)
);
CREATE INDEX access_grant_company ON access_grant (company);

-- Only what SCRAM needs to check a secret is kept (RFC 5802), never the secret.
CREATE TABLE credential (
    login           text PRIMARY KEY CHECK (login ~ '^ju-(sub|pub)-'),
    grant_kind      text NOT NULL,
    grant_id        text NOT NULL,
    ordinal         integer NOT NULL CHECK (ordinal > 0),
    salt            bytea NOT NULL CHECK (length(salt) >= 16),
    iterations      integer NOT NULL CHECK (iterations BETWEEN 4096 AND 16384),
    salted_password bytea NOT NULL CHECK (length(salted_password) = 64),
    issued_by       text NOT NULL REFERENCES operator (name),
    issued_at       timestamptz NOT NULL,
    revoked_by      text REFERENCES operator (name),
    revoked_at      timestamptz,
    FOREIGN KEY (grant_kind, grant_id) REFERENCES access_grant (kind, id),
    UNIQUE (grant_kind, grant_id, ordinal),
    CONSTRAINT credential_revoked_by_somebody CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);

-- Who did what to what, and why. Written in the transaction that did it; never changed.
CREATE TABLE activity (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL,
    operator text NOT NULL,
    action   text NOT NULL,
    subject  text NOT NULL,
    reason   text NOT NULL
);
CREATE FUNCTION activity_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the record of activities is append-only'; END $$;
CREATE TRIGGER activity_append_only BEFORE UPDATE OR DELETE ON activity
    FOR EACH STATEMENT EXECUTE FUNCTION activity_is_append_only();

-- One row. A transaction that decides something takes it first, so decisions are made one after another and each sees
-- those before; the publisher takes it to number a snapshot, so a snapshot never holds half a decision.
CREATE TABLE policy_issue (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    number     bigint NOT NULL,
    changed_at timestamptz NOT NULL,
    issued_at  timestamptz
);
INSERT INTO policy_issue (number, changed_at) VALUES (0, now());
