DROP TABLE registry_config;
DROP TABLE registry_version;
DROP TABLE registry_schema;
DROP FUNCTION registry_is_append_only;
