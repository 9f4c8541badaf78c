DROP TABLE superseded;
DROP TABLE published;
