#!/usr/bin/env python3
"""RDD1, the content digest of a disk, written from its definition and independent of reimage's own code.

  rdd1.py RAW-FILE...   prints rdd1:<hex> for each
  rdd1.py --selftest    the published test vectors

leaf(i) = SHA-256(00 || 64 KiB block i, zero padded); node = SHA-256(01 || left || right);
root    = node of height ceil(log2(blocks)), missing leaves are leaves of zeros;
digest  = SHA-256("RIMG-RDD1-SHA256" || u64le size || root).
"""
import hashlib
import io
import os
import struct
import sys

BLOCK = 65536


def sha(data):
    return hashlib.sha256(data).digest()


ZERO = [sha(b"\0" + bytes(BLOCK))]
for _ in range(64):
    ZERO.append(sha(b"\1" + ZERO[-1] + ZERO[-1]))


def height(size):
    return (max(1, -(-size // BLOCK)) - 1).bit_length()


def digest(stream, size):
    """The digest of `size` bytes from `stream`; `None` stands for a stream of zeros."""
    top = height(size)
    if stream is None:
        root = ZERO[top]
    else:
        level = []
        left = size
        while left:
            block = stream.read(min(BLOCK, left))
            if not block:
                raise SystemExit("rdd1: the file ended %d bytes early" % left)
            left -= len(block)
            level.append(sha(b"\0" + block.ljust(BLOCK, b"\0")))
        for h in range(top):
            if len(level) % 2:
                level.append(ZERO[h])
            level = [sha(b"\1" + level[i] + level[i + 1]) for i in range(0, len(level), 2)]
        root = level[0] if level else ZERO[top]
    return "rdd1:" + sha(b"RIMG-RDD1-SHA256" + struct.pack("<Q", size) + root).hex()


def of_file(path):
    with open(path, "rb") as stream:
        return digest(stream, os.fstat(stream.fileno()).st_size)


def pattern(count):
    return bytes((31 * i + 17 * (i >> 8) + (i >> 16)) % 256 for i in range(count))


def selftest():
    tiny = bytearray(2**20 + 512)
    tiny[:70000] = pattern(70000)
    tiny[131072 : 131072 + 65536] = pattern(65536)
    tiny[-512:] = b"E" * 512
    vectors = [
        (b"", "3050c592d3309392e673f8f50590265e641e708630e7a33a03896ed33acfe3d3"),
        (b"\0", "eb41fdec80a392f55eade9e7fcf8077f4f547b3faadda3fbbd2ef901139ab275"),
        (bytes(512), "f352b20cfba294aebbb45da96254784a66844f1e5b01b5c473d9f894c9b2f900"),
        (bytes(65536), "6d043da4e3a1abcac73052d4474a514b52eee8150e7c4b7c3d44482e50b3caa9"),
        (bytes(65537), "5dd8160874efcfc2135a712b35bae5fc2f998b56ef935a7a8faf2e630d76b697"),
        (b"a", "85832da2bc3296e343279b3295b5abcc71797f8a30af55713ac0d1885afd5f7b"),
        (b"\xff" * 65536, "49f47821fe390e3f2614a7e5d14b5db0f1ecb0eaa5e084c7a0b4facddfa362f5"),
        (pattern(200000), "a7d3dd0851987a448698f639e1da3c6938db90a7f47439eba0579e521dbab0c1"),
        (pattern(2**20), "0d0db83ce41689d556ac07aa8da94c7a4d5c2c2b8ef4afd528b395fd709ebf86"),
        (bytes(tiny), "f75fbd0ef57a529253c747f6490b88999ef3d8ce2d1b7f013b107113af13f29f"),
    ]
    for content, expected in vectors:
        assert digest(io.BytesIO(content), len(content)) == "rdd1:" + expected, len(content)
    for power, expected in [
        (30, "084d3a4002d4b71631e2a2ff6b46d0973c6c46ac49541ac943799faa971a9c0d"),
        (40, "17fb078a14857425665ab7a8b9cbb37f2f2d67130bb6c32118102876fa43f776"),
        (46, "de1fded3d69646814d75ea262366317ae341411fc4ce5c5885557a733aff52be"),
    ]:
        assert digest(None, 2**power) == "rdd1:" + expected, power
    print("%d vectors agree" % (len(vectors) + 3))


if __name__ == "__main__":
    if sys.argv[1:] == ["--selftest"]:
        selftest()
    else:
        for name in sys.argv[1:]:
            print(of_file(name))
