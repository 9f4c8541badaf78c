CREATE TABLE card (
    id integer PRIMARY KEY,
    email text NOT NULL CONSTRAINT card_email_unique UNIQUE,
    balance integer NOT NULL DEFAULT 0 CONSTRAINT card_balance_positive CHECK (balance >= 0)
);
