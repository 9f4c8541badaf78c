"""confluent-kafka's registry client, serialiser and deserialiser, driven by one JSON argument.

{"op": "...", "registry": URL, "user": NAME, "password": PASSWORD, ...}; prints one JSON answer.
"""

import json
import sys

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext


def client(request):
    config = {"url": request["registry"]}
    if request.get("user"):
        config["basic.auth.user.info"] = f"{request['user']}:{request['password']}"
    return SchemaRegistryClient(config)


def refused(error):
    return {"status": error.http_status_code, "code": error.error_code, "message": error.error_message}


def read(request):
    """Everything that tools ask."""
    registry, subject = client(request), request["subject"]
    latest = registry.get_latest_version(subject)
    schema = registry.get_schema(latest.schema_id)
    found = registry.lookup_schema(subject, schema)
    return {
        "subjects": registry.get_subjects(),
        "versions": registry.get_versions(subject),
        "id": latest.schema_id,
        "version": latest.version,
        "schema": schema.schema_str,
        "type": schema.schema_type,
        "found": [found.schema_id, found.version],
        "compatible": registry.test_compatibility(subject, schema),
        "level": registry.get_compatibility(),
        "subjects_of_id": registry.get_subjects_by_schema_id(latest.schema_id),
        "versions_of_id": [[v.subject, v.version] for v in registry.get_schema_versions(latest.schema_id)],
    }


def serialise(request):
    """A record by the stock serialiser; `auto` registers its schema, else it is looked up."""
    registry = client(request)
    options = {"auto.register.schemas": request["auto"], "normalize.schemas": request.get("normalize", False)}
    serialiser = AvroSerializer(registry, request["schema"], conf=options)
    context = SerializationContext(request["topic"], MessageField.VALUE)
    try:
        return {"value": serialiser(request["record"], context).hex()}
    except SchemaRegistryError as error:
        return {"refused": refused(error)}


def deserialise(request):
    """A value by the stock deserialiser: into the writer's schema, or a reader's own."""
    deserialiser = AvroDeserializer(client(request), request.get("schema"))
    context = SerializationContext(request["topic"], MessageField.VALUE)
    return {"record": deserialiser(bytes.fromhex(request["value"]), context)}


def register(request):
    try:
        return {"id": client(request).register_schema(request["subject"], Schema(request["schema"], "AVRO"))}
    except SchemaRegistryError as error:
        return {"refused": refused(error)}


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    answer = {"read": read, "serialise": serialise, "deserialise": deserialise, "register": register}[request["op"]](request)
    print(json.dumps(answer, ensure_ascii=False, default=str))
