-- The number up to which the stop list was whole when the records were delivered: a restriction with a number up to it was
-- regarded; and the number up to which it was regarded for all contacts of the persons it reaches. Rows from before there
-- were restrictions regarded none.
ALTER TABLE disclosure
    ADD COLUMN restrictions        bigint NOT NULL DEFAULT 0,
    ADD COLUMN person_restrictions bigint NOT NULL DEFAULT 0;
