-- An in-memory database that is filled, indexed and summed up.
PRAGMA temp_store = MEMORY;
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, item TEXT, amount REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1800000)
INSERT INTO orders SELECT i, 'customer-' || (i * 7919 % 200003), 'item-' || (i * 104729 % 50021), i % 997 / 10.0 FROM n;
CREATE INDEX by_customer ON orders (customer, amount);
SELECT count(*), sum(amount) FROM (SELECT customer, sum(amount) AS amount FROM orders GROUP BY customer);
