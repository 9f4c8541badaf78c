-- A row is one run of consecutive offsets under one decision. While a client reads on, the row reserves a little more than
-- was delivered (open), so that the next answer need not wait for the disk; it is cut back to what was delivered when
-- the client has caught up, pauses or leaves. A row that stays open (the hub was killed) tells the most that can have left.
ALTER TABLE disclosure
    DROP COLUMN id,
    ADD COLUMN id    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    ADD COLUMN until timestamptz,
    ADD COLUMN open  boolean NOT NULL DEFAULT false;
UPDATE disclosure SET until = at;
ALTER TABLE disclosure ALTER COLUMN until SET NOT NULL;

-- Without the last offset, so that growing a run touches no index.
DROP INDEX disclosure_by_position;
CREATE INDEX disclosure_by_position ON disclosure (topic, partition, first_offset);
