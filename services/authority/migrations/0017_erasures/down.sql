DROP TABLE erasure_tombstone;
DROP TABLE erasure_step;
DROP TABLE erasure;
