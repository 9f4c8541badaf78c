"""Writes the seeds of `blank`: each example record, nothing, half and all granted, and data of the target's own schema."""

import json
import pathlib

HERE = pathlib.Path(__file__).parent
AVRO = HERE / "../../../../schemas/avro"


def number(value):
    value = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def text(value):
    value = value.encode()
    return number(len(value)) + value


def name_of(schema):
    if isinstance(schema, str):
        return schema
    return "jp.persol.jointuse." + schema["name"] if "name" in schema else schema["type"]


def encode(schema, value):
    if isinstance(schema, list):
        name, value = ("null", None) if value is None else next(iter(value.items()))
        branch = [name_of(member) for member in schema].index(name)
        return number(branch) + encode(schema[branch], value)
    kind = schema if isinstance(schema, str) else schema["type"]
    if kind == "record":
        return b"".join(encode(field["type"], value[field["name"]]) for field in schema["fields"])
    if kind == "enum":
        return number(schema["symbols"].index(value))
    if kind == "map":
        entries = b"".join(text(key) + encode(schema["values"], item) for key, item in value.items())
        return number(len(value)) + entries + number(0)
    return {"null": lambda _: b"", "string": text, "int": number, "long": number}[kind](value)


def write(subject, name, datum):
    for grants, mask in (("none", b"\0\0\0\0"), ("half", b"\x55" * 4), ("all", b"\xff" * 4)):
        (HERE / "blank" / f"{name}-{grants}").write_bytes(bytes([subject]) + mask + datum)


for subject, name in enumerate(["contact", "transaction", "meeting", "contact-event", "behaviour"]):
    schema = json.loads((AVRO / f"{name}.avsc").read_text())
    write(subject, name, encode(schema, json.loads((AVRO / f"{name}.example.json").read_text())))

link = bytes([1, 2, 4]) + b"ab" + bytes([2, 0, 0, 0])
sized = number(-2) + number(2 * len(link)) + 2 * link + number(0)
entries = number(2) + text("k") + number(0) + number(7) + text("l") + number(1) + link + number(0)
hidden = number(1) + number(2) + number(0) + link + number(1) + number(0)
fixes = number(-1) + number(3) + b"xyz" + number(0)
write(5, "all", number(9) + number(0) + text("last") + number(3) + number(1) + text("k") + text("v") + number(0)
      + sized + entries + hidden + fixes)
write(5, "all-null", number(9) + number(1) + number(2) + number(0) + number(0) + number(0) + number(0))
