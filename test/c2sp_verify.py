#!/usr/bin/env python3
# SPDX-License-Identifier: PostgreSQL
"""A verifier of a C2SP tile log in a folder, written from the specifications alone: signed-note,
tlog-checkpoint, tlog-cosignature and tlog-tiles of C2SP, RFC 6962 section 2.1, RFC 8032 section 5.1.

    c2sp_verify.py FOLDER VKEY_FILE

It knows nothing of goldenarch and shares no code with it, not even a library but hashlib. It prints
the size and the root and ends with 0, or says what does not hold and ends with 1.
"""
import base64
import hashlib
import os
import sys

WIDTH = 256

# ---- Ed25519: the curve -x^2 + y^2 = 1 + d x^2 y^2 over the integers modulo 2^255 - 19 ----
PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, PRIME - 2, PRIME) % PRIME
ROOT_OF_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)


def recover_x(y, sign):
    if y >= PRIME:
        raise ValueError("a coordinate is out of range")
    square = (y * y - 1) * pow(D * y * y + 1, PRIME - 2, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME != 0:
        x = x * ROOT_OF_MINUS_ONE % PRIME
    if (x * x - square) % PRIME != 0 or (x == 0 and sign):
        raise ValueError("this is no point of the curve")
    return PRIME - x if x & 1 != sign else x


def point(data):
    value = int.from_bytes(data, "little")
    y = value & (2**255 - 1)
    x = recover_x(y, value >> 255)
    return (x, y, 1, x * y % PRIME)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % PRIME
    b = (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c = 2 * p[3] * q[3] * D % PRIME
    d = 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def times(number, p):
    result = (0, 1, 1, 0)
    while number > 0:
        if number & 1:
            result = add(result, p)
        p = add(p, p)
        number >>= 1
    return result


BASE_Y = 4 * pow(5, PRIME - 2, PRIME) % PRIME
BASE = point((BASE_Y).to_bytes(32, "little"))


def ed25519_holds(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    try:
        left, a = point(r), point(key)
    except ValueError:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % ORDER
    one, two = times(s, BASE), add(left, times(k, a))
    return (one[0] * two[2] - two[0] * one[2]) % PRIME == 0 and (one[1] * two[2] - two[1] * one[2]) % PRIME == 0


# ---- notes ----
def demand(holds, what):
    if not holds:
        raise SystemExit(f"c2sp_verify: {what}")


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise SystemExit(f"c2sp_verify: {error}") from None


def unbase64(text, what):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise SystemExit(f"c2sp_verify: {what} is not base64") from None


def key_id(name, kind, key):
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key).digest()[:4]


def verifier_key(text):
    parts = text.strip().split("+", 2)
    demand(len(parts) == 3, "the verifier key has not three parts")
    material = unbase64(parts[2], "the verifier key")
    demand(len(material) == 33 and material[0] == 1, "the verifier key is not of type Ed25519")
    demand(key_id(parts[0], 1, material[1:]).hex() == parts[1], "the verifier key's id is not its own")
    return parts[0], material[1:]


def checkpoint(note, name, key):
    text, blank, signatures = note.decode("utf-8").rpartition("\n\n")
    demand(blank and signatures.endswith("\n"), "the checkpoint is no note")
    body, times_signed, plain = (text + "\n").encode(), [], 0
    for line in signatures[:-1].split("\n"):
        fields = line.split(" ")
        demand(len(fields) == 3 and fields[0] == "\u2014", "a signature line is malformed")
        data = unbase64(fields[2], "a signature")
        if fields[1] == name and data[:4] == key_id(name, 1, key):
            demand(ed25519_holds(key, body, data[4:]), "the signature does not verify")
            plain += 1
        if fields[1] == name and data[:4] == key_id(name, 4, key):
            when = int.from_bytes(data[4:12], "big")
            signed = b"cosignature/v1\ntime %d\n" % when + body
            demand(ed25519_holds(key, signed, data[12:]), "the cosignature does not verify")
            times_signed.append(when)
    demand(plain > 0, "the key has not signed the checkpoint")
    lines = text.split("\n")
    demand(len(lines) >= 3 and lines[1] == str(int(lines[1])), "the checkpoint has not its three lines")
    root = unbase64(lines[2], "the root")
    demand(lines[0] == name and len(root) == 32, "the checkpoint is of another log")
    return int(lines[1]), root, times_signed


# ---- tree and tiles ----
def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_hash(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node(tree_hash(hashes[:split]), tree_hash(hashes[split:]))


def tile_path(folder, level, index, width):
    digits = f"{index:03d}"
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[i:i + 3] for i in range(0, len(digits), 3)]
    name = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
    return os.path.join(folder, "tile", str(level), name + (f".p/{width}" if width < WIDTH else ""))


def entries(folder, index, width):
    path = tile_path(folder, "entries", index, width)
    data, at, found = read(path), 0, []
    while at < len(data):
        length = int.from_bytes(data[at:at + 2], "big")
        demand(at + 2 + length <= len(data), f"{path} is cut off")
        found.append(data[at + 2:at + 2 + length])
        at += 2 + length
    demand(len(found) == width, f"{path} has {len(found)} entries, not {width}")
    return found


def main(folder, vkey_file):
    name, key = verifier_key(read(vkey_file).decode().split("\n", 1)[0])
    size, root, when = checkpoint(read(os.path.join(folder, "checkpoint")), name, key)
    level, hashes, leaves = 0, [], []
    for index in range((size + WIDTH - 1) // WIDTH):
        width = min(WIDTH, size - index * WIDTH)
        hashes += [hashlib.sha256(b"\x00" + entry).digest() for entry in entries(folder, index, width)]
    leaves = hashes
    while hashes:
        above = []
        for index in range((len(hashes) + WIDTH - 1) // WIDTH):
            part = hashes[index * WIDTH:(index + 1) * WIDTH]
            path = tile_path(folder, level, index, len(part))
            demand(read(path) == b"".join(part), f"{path} is not what the entries make")
            if len(part) == WIDTH:
                above.append(tree_hash(part))
        level, hashes = level + 1, above
    demand(tree_hash(leaves) == root, "the entries do not make the root")
    print(size, root.hex(), *when)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    sys.setrecursionlimit(10000)
    main(sys.argv[1], sys.argv[2])
