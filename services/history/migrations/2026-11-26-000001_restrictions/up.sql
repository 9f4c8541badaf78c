-- The number up to which the stop list was whole when the answer was made.
ALTER TABLE disclosure ADD COLUMN restrictions bigint NOT NULL DEFAULT 0;
