-- What the client programs beside this file expect to find. The role they sign
-- in as may SELECT, INSERT, UPDATE and DELETE on these tables, and create nothing.
CREATE TABLE customers (
  id integer PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL UNIQUE,
  balance numeric(12, 2) NOT NULL,
  tags text[] NOT NULL,
  profile jsonb NOT NULL,
  created timestamptz NOT NULL
);

COMMENT ON TABLE customers IS 'Who buys';

CREATE TABLE orders (
  id bigint PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers,
  item text NOT NULL,
  amount numeric(12, 2) NOT NULL,
  placed date NOT NULL
);

CREATE INDEX orders_by_customer ON orders (customer_id);

-- Enough rows that a cursor or a portal must be read in parts.
CREATE TABLE readings (n integer PRIMARY KEY, label text NOT NULL);

-- Where the programs write. `client` keeps programs that run together apart.
CREATE TABLE scratch (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client text NOT NULL,
  label text,
  number bigint,
  data bytea
);

INSERT INTO customers
SELECT n, 'Customer ' || n, 'customer' || n || '@example.com', n * 10.25, ARRAY['t' || n % 3, 'all'],
  jsonb_build_object('level', n % 5), timestamptz '2026-01-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 100) n;

INSERT INTO orders
SELECT n, 1 + n % 100, 'Item ' || n, n * 1.5, date '2026-01-01' + n % 300
FROM generate_series(1, 1000) n;

INSERT INTO readings SELECT n, 'reading ' || n FROM generate_series(1, 5000) n;
