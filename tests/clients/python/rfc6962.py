"""An audit log checked without our code: RFC 6962's own recursive definitions, C2SP notes, and Ed25519 from `cryptography`.

Reads one JSON object from standard input, {"entries": [...], "notes": [...], "keys": [...], "inclusions": [...],
"consistencies": [...]}, as the authority's REST API gives them, and prints what it found: {"wrong": [...], ...}.
"""

import base64
import hashlib
import hmac
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

sys.setrecursionlimit(10_000)


def leaf_hash(leaf):
    return hashlib.sha256(b"\0" + leaf).digest()


def mth(hashes):
    """Section 2.1."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return hashlib.sha256(b"\1" + mth(hashes[:k]) + mth(hashes[k:])).digest()


def split(n):
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m, hashes):
    """Section 2.1.1."""
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if m < k:
        return path(m, hashes[:k]) + [mth(hashes[k:])]
    return path(m - k, hashes[k:]) + [mth(hashes[:k])]


def proof(m, hashes):
    """Section 2.1.2; of no entries, and of a tree to itself, nothing has to be proved."""
    return subproof(m, hashes, True) if 0 < m < len(hashes) else []


def subproof(m, hashes, known):
    n = len(hashes)
    if m == n:
        return [] if known else [mth(hashes)]
    k = split(n)
    if m <= k:
        return subproof(m, hashes[:k], known) + [mth(hashes[k:])]
    return subproof(m - k, hashes[k:], False) + [mth(hashes[:k])]


def read_key(text):
    name, key_id, encoded = text.split("+", 2)
    key = base64.b64decode(encoded)
    computed = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    assert computed.hex() == key_id, "a key's hash"
    return name, computed, key[0], Ed25519PublicKey.from_public_bytes(key[1:])


def signers(note, keys):
    """Origin, size, root and who of `keys` signed."""
    text, lines = note.rsplit("\n\n", 1)
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    names = []
    for line in lines.splitlines():
        dash, name, encoded = line.split(" ")
        assert dash == "\u2014"
        signature = base64.b64decode(encoded)
        for known, key_id, kind, public in keys:
            if (known, key_id) != (name, signature[:4]):
                continue
            message, rest = text.encode(), signature[4:]
            if kind == 4:
                seconds = int.from_bytes(rest[:8], "big")
                message, rest = f"cosignature/v1\ntime {seconds}\n{text}".encode(), rest[8:]
            public.verify(rest, message)
            names.append(name)
    return origin, int(size), base64.b64decode(root), names


def main():
    asked = json.load(sys.stdin)
    wrong, opened = [], 0
    b64 = base64.b64decode
    hashes = []
    for place, entry in enumerate(asked["entries"]):
        leaf = entry["leaf"].encode()
        hashes.append(leaf_hash(leaf))
        if entry["index"] != place or b64(entry["hash"]) != hashes[-1]:
            wrong.append(f"entry {place}")
        if entry.get("opening"):
            salt, payload = b64(entry["opening"]["salt"]), b64(entry["opening"]["payload"])
            commitment = hmac.new(salt, b"jointuse audit payload v1\0" + payload, hashlib.sha256).digest()
            opened += 1
            if b64(leaf.decode().split("\n")[5]) != commitment:
                wrong.append(f"opening {place}")
    keys = [read_key(key) for key in asked["keys"]]
    signed = {}
    for note in asked["notes"]:
        try:
            origin, size, root, names = signers(note, keys)
        except InvalidSignature:
            wrong.append("signature")
            continue
        signed[size] = names
        if origin != keys[0][0] or keys[0][0] not in names:
            wrong.append(f"checkpoint {size}: not signed by the log")
        if size > len(hashes) or root != mth(hashes[:size]):
            wrong.append(f"checkpoint {size}: root")
    for given in asked["inclusions"]:
        index, size = given["index"], given["size"]
        if [b64(h) for h in given["path"]] != path(index, hashes[:size]) or b64(given["root"]) != mth(hashes[:size]):
            wrong.append(f"inclusion of {index} in {size}")
    for given in asked["consistencies"]:
        old, new = given["from"], given["to"]
        if [b64(h) for h in given["path"]] != proof(old, hashes[:new]):
            wrong.append(f"consistency of {old} and {new}")
    print(json.dumps({"wrong": wrong, "entries": len(hashes), "opened": opened, "signed": signed}))


main()
