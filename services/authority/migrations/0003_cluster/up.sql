-- What the authority knows about the cluster it administers.

-- Kafka's id of each shared topic when it was first seen. A topic that was deleted and made anew has another one; snapshots
-- go on naming this one, so that nobody reads the new topic under the old decision, until an operator accepts it.
CREATE TABLE cluster_topic (
    name        text PRIMARY KEY CHECK (name LIKE 'jointuse.%'),
    kafka_id    text NOT NULL CHECK (kafka_id ~ '^[0-9a-f]{32}$'),
    recorded_at timestamptz NOT NULL,
    -- Who accepted a topic that was made anew; absent for the first one.
    accepted_by text
);

-- What the reconciler left on the cluster the last time, in words. A difference that the approved state does not explain
-- (it took away what stands here, or added what does not) is drift.
CREATE TABLE cluster_fact (
    fact text PRIMARY KEY
);

-- Drift that was found; the newest thousand.
CREATE TABLE cluster_drift (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    found_at timestamptz NOT NULL,
    applied  jsonb NOT NULL
);
