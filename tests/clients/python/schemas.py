"""What fastavro and Avro's own Python library say of schemas and records: JSON on standard input, JSON out.

{"pairs": [{"name", "reader", "writer", "datum"?}], "records": [{"schema", "json", "binary"}], "forms": [schema text]}
"""

import io
import json
import sys

import fastavro
import fastavro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse as avro_parse


def datum(schema, value):
    """Bytes are written as text in JSON."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        return {field["name"]: datum(field["type"], value[field["name"]]) for field in schema["fields"]}
    if kind in ("bytes", "fixed"):
        return value.encode("latin-1")
    return value


def resolves(pair):
    """Whether fastavro reads with the reader's schema what it wrote with the writer's."""
    writer, reader = fastavro.parse_schema(pair["writer"]), fastavro.parse_schema(pair["reader"])
    out = io.BytesIO()
    fastavro.schemaless_writer(out, writer, datum(pair["writer"], pair["datum"]))
    out.seek(0)
    try:
        fastavro.schemaless_reader(out, writer, reader)
        return out.read() == b""
    except Exception:
        return False


def compatible(pair):
    reader, writer = avro_parse(json.dumps(pair["reader"])), avro_parse(json.dumps(pair["writer"]))
    result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    return result.compatibility is SchemaCompatibilityType.compatible


def record(entry):
    """The example in Avro's JSON encoding, and the same in binary, as fastavro reads both."""
    schema = fastavro.parse_schema(json.loads(entry["schema"]))
    binary = bytes.fromhex(entry["binary"])
    (from_json,) = fastavro.json_reader(io.StringIO(json.dumps(json.loads(entry["json"]))), schema)
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, from_json)
    return {
        "same_bytes": out.getvalue() == binary,
        "same_record": fastavro.schemaless_reader(io.BytesIO(binary), schema) == from_json,
        "valid": fastavro.validate(from_json, schema, raise_errors=False),
    }


def form(text):
    schema = json.loads(text)
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    return {
        "canonical": canonical,
        "rabin": fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"),
        "sha256": fastavro.schema.fingerprint(canonical, "sha256"),
    }


if __name__ == "__main__":
    request = json.load(sys.stdin)
    answer = {
        "pairs": [
            {
                "name": pair["name"],
                "avro": compatible(pair),
                "fastavro": resolves(pair) if "datum" in pair else None,
            }
            for pair in request["pairs"]
        ],
        "records": [record(entry) for entry in request["records"]],
        "forms": [form(text) for text in request["forms"]],
    }
    print(json.dumps(answer))
