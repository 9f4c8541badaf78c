"""Writes the seeds: what the tests' fixtures hold, in the shape that each target takes."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent.parent / "tests" / "fixtures"
HEADER = 61


def put(target, name, data):
    (HERE / target).mkdir(exist_ok=True)
    (HERE / target / name).write_bytes(data)


def varint(value):
    value, out = (value << 1) ^ (value >> 63), b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def record(delta, key, value, headers=b"\0"):
    body = b"\0" + varint(delta * 3) + varint(delta)
    for part in (key, value):
        body += varint(-1) if part is None else varint(len(part)) + part
    body += headers
    return varint(len(body)) + body


def filler(base):
    """A control batch of one record, with no good checksum."""
    records = record(0, bytes([0, 0, 0x7F, 0xFF]), b"")
    return struct.pack(">qiibIhiqqqhii", base, 49 + len(records), 5, 2, 0, 0x20, 0, 9, 9, -1, -1, -1, 1) + records


def fetch(version, records):
    """A response with one topic of one partition (FetchResponse.json)."""
    flexible = version >= 12
    tags = b"\0" if flexible else b""
    out = struct.pack(">i", 1) + tags  # correlation id, header
    out += struct.pack(">i", 0)
    if version >= 7:
        out += struct.pack(">hi", 0, 0)
    count = (lambda n: bytes([n + 1])) if flexible else (lambda n: struct.pack(">i", n))
    out += count(1)
    if version >= 13:
        out += bytes(range(16))
    else:
        out += (b"\x02t" if flexible else b"\0\x01t")
    out += count(1) + struct.pack(">ihqq", 0, 0, 100, 100)
    if version >= 5:
        out += struct.pack(">q", 0)
    out += count(1) + struct.pack(">qq", 77, 40) + tags
    if version >= 11:
        out += struct.pack(">i", -1)
    assert len(records) < 0x3FFF
    size = len(records) + 1
    out += bytes([size & 0x7F | 0x80, size >> 7]) if flexible else struct.pack(">i", len(records))
    out += records + tags
    out += tags
    return bytes([version - 4]) + out + tags


def main():
    none = (FIXTURES / "java-none.batch").read_bytes()
    for path in FIXTURES.glob("java-*.batch"):
        batch = path.read_bytes()
        how = batch[22] & 7
        if how:
            put("unpack", path.stem, bytes([how - 1, 255]) + batch[HEADER:])
        put("batches", path.stem, batch)
    put("batches", "two-and-a-filler", none + none + filler(60))
    put("rewrite", "java-none", bytes([0, 11, 12, 0b10011011, 0b01101100]) + none[HEADER:])
    put("rewrite", "compacted", bytes([0x10, 9, 2, 0b00010111, 0]) + record(1, b"key", b"value") + record(7, None, None))
    put("rewrite", "control", bytes([0x30, 0, 1, 0, 0]) + record(0, bytes(4), bytes(6)))
    for version in (4, 11, 12, 13, 16, 18):
        put("fetch", f"v{version}", fetch(version, none))
    for key, version, body in (
        (1, 11, struct.pack(">iiiibiii", -1, 500, 1, 1 << 20, 0, 0, -1, 1) + b"\0\x01t" + struct.pack(">iiiqqi", 1, 0, -1, 5, -1, 1 << 20) + bytes(4) + bytes(2)),
        (3, 9, b"\0\x02\x02t\0\0\0\0"),
        (10, 4, b"\0\x02\x02g\0"),
        (11, 5, b"\0\x01g" + struct.pack(">ii", 10_000, 10_000) + b"\0\0\xff\xff\0\x08consumer" + struct.pack(">i", 1) + b"\0\x05range" + struct.pack(">i", 2) + b"md"),
    ):
        flexible = {1: 12, 3: 9, 10: 3, 11: 6}[key] <= version
        head = struct.pack(">hhi", key, version, 5) + b"\0\x03app" + (b"\0" if flexible else b"")
        put("frames", f"api{key}-v{version}", head + body)
    put("varints", "some", bytes([0, 1, 0x7F, 0x80, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 3, ord("a"), ord("b")]))


main()
