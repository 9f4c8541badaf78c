-- Contacts and persons that an opening names: it is erased with any of them. Also in logs that were put aside.
DO $$
DECLARE place text;
BEGIN
    FOR place IN
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = 'audit_opening' AND c.relkind = 'r'
          AND (n.nspname = current_schema() OR n.nspname ~ '^audit_[0-9]+$')
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN about text[] NOT NULL DEFAULT ''{}''', place);
        EXECUTE format('CREATE INDEX audit_opening_about ON %s USING gin (about)', place);
    END LOOP;
END $$;
