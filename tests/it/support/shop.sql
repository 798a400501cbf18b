-- A small shop, for the tests of the whole.
SET ROLE shop_owner;
CREATE TABLE customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL
);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    total numeric(10, 2) NOT NULL,
    status text NOT NULL DEFAULT 'new',
    placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders,
    card_number text NOT NULL,
    amount numeric(10, 2) NOT NULL
);
CREATE SCHEMA stock;
CREATE TABLE stock.items (sku text PRIMARY KEY, quantity int NOT NULL);
INSERT INTO customers (name, email)
SELECT 'customer ' || i, 'customer' || i || '@example.com' FROM generate_series(1, 100) i;
INSERT INTO orders (customer_id, total, status)
SELECT 1 + i % 100, i, (ARRAY['new', 'paid', 'shipped'])[1 + i % 3] FROM generate_series(1, 1000) i;
INSERT INTO payments (order_id, card_number, amount)
SELECT i, '4929-7300-0000-' || lpad(i::text, 4, '0'), i FROM generate_series(1, 1000) i;
INSERT INTO stock.items SELECT 'sku' || i, i FROM generate_series(1, 50) i;
RESET ROLE;
