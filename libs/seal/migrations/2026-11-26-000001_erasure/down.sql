DROP TABLE keys.ledger;
DROP TABLE keys.complete;
DROP FUNCTION keys.here();
DROP TABLE keys.forgotten;
