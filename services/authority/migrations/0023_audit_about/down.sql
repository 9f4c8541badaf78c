DO $$
DECLARE place text;
BEGIN
    FOR place IN
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relname = 'audit_opening' AND c.relkind = 'r'
          AND (n.nspname = current_schema() OR n.nspname ~ '^audit_[0-9]+$')
    LOOP
        EXECUTE format('ALTER TABLE %s DROP COLUMN about', place);
    END LOOP;
END $$;
