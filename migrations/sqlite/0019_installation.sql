-- What tells this database from every other one, also from one that lay in its place before.
CREATE TABLE installation (id BLOB NOT NULL);
INSERT INTO installation (id) VALUES (randomblob(16));
