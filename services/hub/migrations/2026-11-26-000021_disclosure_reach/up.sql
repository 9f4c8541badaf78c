-- How many bits the length of a range takes: 0 for one record, n for 2^(n-1) + 1 to 2^n of them. A range of reach n that holds
-- an offset begins at most 2^n - 1 before it, so all ranges that hold it are found by one descent of the index for each
-- reach there is, and what is looked at beside them is of their number. Growing a run touches the index only when its length
-- doubles.
ALTER TABLE disclosure ADD COLUMN reach smallint NOT NULL GENERATED ALWAYS AS
    (length(ltrim(((last_offset - first_offset)::bit(64))::text, '0'))) STORED;
DROP INDEX disclosure_by_position;
CREATE INDEX disclosure_by_position ON disclosure (topic, partition, reach, first_offset);

-- Room in each page for the next version of its rows: else an update that touches no index moves to another page and touches
-- all of them.
ALTER TABLE disclosure SET (fillfactor = 80);
