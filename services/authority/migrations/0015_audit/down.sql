DROP TABLE audit_source;
DROP TABLE audit_cosignature;
DROP TABLE audit_cosigner;
DROP TABLE audit_checkpoint;
DROP TABLE audit_opening;
DROP TABLE audit_node;
DROP TABLE audit_leaf;
DROP FUNCTION audit_is_append_only;
