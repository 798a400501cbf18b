ALTER TABLE public.orders ADD COLUMN shipped_at timestamptz;
CREATE INDEX CONCURRENTLY orders_status ON public.orders (status);
