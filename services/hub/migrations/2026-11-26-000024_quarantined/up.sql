-- Records that did not leave because they are broken: where and why, never what. They stay on the topic. Of a batch that cannot
-- be read, its first offset.
CREATE TABLE quarantined (
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    record_offset bigint      NOT NULL,
    reason        text        NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition, record_offset)
);
