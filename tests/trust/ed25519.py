"""Verifies the signed documents of tests/fixtures/wire/signed, written from RFC 8032 and docs/protocol.md alone.

Reads the path of a file of vectors, prints the verdict of each document as JSON. Shares no code with gpu-courier.
"""
import base64
import hashlib
import json
import re
import sys

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
SPKI = bytes.fromhex("302a300506032b6570032100")
TAIL = re.compile(rb',"signature":\{"key":"([0-9a-f]{16})","value":"([A-Za-z0-9_-]{86})"\}\}[ \t\r\n]*\Z')


def add(a, b):
    """RFC 8032, 5.1.4: points as (X, Y, Z, T)."""
    e = (a[1] - a[0]) * (b[1] - b[0])
    f = (a[1] + a[0]) * (b[1] + b[0])
    g = 2 * a[3] * b[3] * D
    h = 2 * a[2] * b[2]
    i, j, k, m = f - e, h - g, h + g, f + e
    return (i * j % P, k * m % P, j * k % P, i * m % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def decode(data):
    """RFC 8032, 5.1.3: a point from its 32 bytes, None when there is no such point."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify(key, message, signature):
    """RFC 8032, 5.1.7."""
    point, r, s = decode(key), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if point is None or r is None or s >= L:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    left = multiply(s, BASE)
    right = add(r, multiply(int.from_bytes(digest, "little") % L, point))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def key_id(raw):
    return hashlib.sha256(SPKI + raw).hexdigest()[:16]


def embedded_key(body, wanted):
    """A state names the key that signed it."""
    text = json.loads(body).get("key")
    raw = base64.b64decode(text) if isinstance(text, str) else b""
    return raw if base64.b64encode(raw).decode() == text and len(raw) == 32 and key_id(raw) == wanted else None


def judge(document, kind, keys):
    try:
        document.decode("utf-8")
    except UnicodeDecodeError:
        return "not text"
    document = document.removeprefix(b"\xef\xbb\xbf")
    match = TAIL.search(document)
    if match is None:
        return "unsigned"
    body = document[: match.start()] + b"}"
    raw = keys.get(match[1].decode()) if kind != "state" else embedded_key(body, match[1].decode())
    if raw is None:
        return "unknown key" if kind in ("command", "roster") else "wrong"
    signed = b"gpu-courier " + kind.encode() + b" 1\n" + body
    return "valid" if verify(raw, signed, base64.urlsafe_b64decode(match[2] + b"==")) else "wrong"


vectors = json.load(open(sys.argv[1], encoding="utf-8"))
trusted = [base64.b64decode(line.split()[1]) for line in vectors["trusted_keys"]]
known = {key_id(raw): raw for raw in trusted}
documents = [(base64.b64decode(entry["base64"]), entry.get("kind", "command")) for entry in vectors["documents"]]
print(json.dumps({"ids": list(known), "verdicts": [judge(document, kind, known) for document, kind in documents]}))
