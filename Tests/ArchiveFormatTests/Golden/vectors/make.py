#!/usr/bin/env python3
"""Makes the test vectors of the specification's section 14 with its reference model.

make.py MODEL.py FOLDER writes one archive each, and facts.json. The files that are here stay as they are: they are read for
ever, and this program only shows how they came about.
"""
import hashlib, importlib.util, io, json, os, random, struct, sys

spec = importlib.util.spec_from_file_location("model", sys.argv[1])
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
folder = sys.argv[2]
K = 65536
facts = []


def pat(count, start=0):
    return bytes((31 * i + 17 * (i >> 8) + (i >> 16)) & 255 for i in range(start, start + count))


def runs(data, chunk, holes, errs):
    """The kinds of the disk's runs, slot by slot; an unreadable slot is one of which no byte was read."""
    found = []
    for slot in range(-(-len(data) // chunk)):
        piece = data[slot * chunk:(slot + 1) * chunk]
        bad = sum(max(0, min(o + n, slot * chunk + len(piece)) - max(o, slot * chunk)) for o, n, _, _ in errs)
        kind = "u" if bad == len(piece) else "h" if slot in holes else "d" if any(piece) else "z"
        if found and found[-1][0] == kind:
            found[-1][1] += len(piece)
        else:
            found.append([kind, len(piece)])
    return " ".join("%s%d" % (kind, count) for kind, count in found)


def vector(name, note, data, late=False, holes=(), errs=(), **options):
    data = bytearray(data)
    for offset, count, _, _ in errs:
        data[offset:offset + count] = bytes(count)
    data = bytes(data)
    out = io.BytesIO()
    writer = model.pack(data, out, model.U64 if late else None, holes, errs, **options)
    archive = out.getvalue()
    assert len(archive) <= K, (name, len(archive))
    read = model.Archive(archive)
    assert read.unpack()[0] == data
    methods, leaves = set(), []
    for entry in read.root:
        if entry[2] == model.LEAFK:
            leaves.append(entry[3])
            methods |= {"%d/%d" % (e[2], e[3]) for e in read.leaf(entry)[1].values()}
    facts.append({
        "name": name, "note": note, "archiveBytes": len(archive),
        "archiveSHA256": hashlib.sha256(archive).hexdigest(), "diskBytes": len(data),
        "diskSHA256": hashlib.sha256(data).hexdigest(), "digest": "rdd1:" + writer.digest.hex(),
        "extents": runs(data, writer.x.C, holes, errs), "methods": sorted(methods), "uuid": archive[40:56].hex(),
        "leaves": leaves[:4], "counts": list(read.cnt), "isLate": late, "chunkLog2": writer.x.clog,
        "leafLog2": writer.x.llog})
    with open(os.path.join(folder, name + ".rimg"), "wb") as file:
        file.write(archive)


# 1. Geometry.
for size in (1, 511, 512, K - 1, K, K + 1):
    for late in (False, True):
        if size in (511, K - 1) and late:
            continue
        vector("size-%d%s" % (size, "-late" if late else ""), "a disk of %d bytes" % size, pat(size), late, clog=16, llog=1)
for extra in (-1, 1):
    vector("leaf-range-%s" % ("less" if extra < 0 else "more"), "one leaf range and %d byte" % extra,
           pat(2 * K + extra), clog=16, llog=1)
vector("three-ranges", "three leaf ranges and a sector", pat(6 * K + 512), clog=16, llog=1)
vector("three-ranges-late", "the same of unknown size", pat(6 * K + 512), True, clog=16, llog=1)
vector("nothing-late", "a disk of no bytes, of unknown size", b"", True, clog=16, llog=4)
vector("sector-4096", "sectors of 4096 bytes", pat(5 * 4096), clog=16, llog=4, sector=4096)
vector("chunk-256k", "two chunks of 256 KiB less a byte", pat(8 * K - 1), clog=18, llog=10)
vector("chunk-1m", "one chunk of 1 MiB and a byte, of unknown size", pat(K) + bytes(15 * K) + b"x", True, clog=20, llog=10)
vector("chunk-64m", "one chunk of 64 MiB, nearly all zeros", pat(3000) + bytes(8 << 20), clog=26, llog=16)
vector("leaf-65536", "the longest leaf range", pat(3 * K), clog=16, llog=16)

# 2. Kinds.
vector("zeros", "zeros alone: no leaf record", bytes(5 * K), clog=16, llog=1)
vector("holes", "holes alone: no leaf record", bytes(5 * K), clog=16, llog=1, holes=range(5))
vector("alternating", "data, zeros and holes in turns", b"".join(pat(K, i * K) if i % 3 == 0 else bytes(K) for i in range(12)),
       clog=16, llog=2, holes=[i for i in range(12) if i % 3 == 2])
vector("mixture", "zeros and holes in one leaf range: a leaf record without entries", bytes(4 * K), clog=16, llog=2, holes=(1, 2))
vector("long-run", "a run of zeros over the borders of leaf ranges", pat(K) + bytes(9 * K) + pat(K, 10 * K), clog=16, llog=1)
vector("duplicates", "duplicates of an earlier leaf range, and of a run",
       pat(3 * K) + pat(3 * K) + pat(K, 9 * K) + pat(2 * K, K), clog=16, llog=1)
vector("no-duplicates", "equal slots with a window of 0", pat(K) * 3, clog=16, llog=1, window=0)
vector("short-duplicate", "a short last slot that an earlier one starts with", pat(100) + bytes(K - 100) + pat(100), clog=16, llog=1)
vector("lost", "slots unreadable throughout and in part, with two causes", pat(8 * K), clog=16, llog=1,
       errs=[(K, 2 * K, 5, 3), (4 * K + 512, 1024, 5, 3), (5 * K + 4096, 512, 61, 1), (6 * K + 512, 512, 5, 1)])
vector("lost-without-leaf", "a range unreadable throughout has no leaf record, but its causes", pat(8 * K), clog=16, llog=1,
       errs=[(2 * K, 4 * K, 61, 2)])

# 3. Codecs.
random.seed(14)
noise = random.randbytes(20000)
code = b"".join(b"\xe8" + struct.pack("<i", 70000 - 37 * i) + pat(32, 32 * i) for i in range(2000))[:K]
vector("deflate", "deflate as zlib makes it", pat(2 * K), clog=16, llog=1, codec=model.DEFLATE, level=9)
for name, filters in (("none", (0,)), ("x86", (0, 1)), ("arm64", (2,))):
    vector("lzma2-" + name, "LZMA2 behind the filter " + name, code + pat(500), clog=16, llog=1, codec=model.LZMA2, filters=filters)
vector("zstd-19", "a frame whose window is the chunk", pat(K) + code + pat(K, K), clog=16, llog=1, level=19)
# The two lengths of noise between which a chunk of 20 000 bytes is no longer worth encoding.
def is_stored(count):
    return model.encode(noise[:count] + bytes(20000 - count), model.ZSTD, (0,), 3, 16, False)[0] == model.STORE
edge = next(count for count in range(19000, 20001) if is_stored(count))
for name, count in (("worth", edge - 1), ("not-worth", edge)):
    vector("store-" + name, "%s the 1/64 that encoding must save" % ("just above" if name == "worth" else "just below"),
           noise[:count] + bytes(20000 - count), clog=16, llog=1, probe=False)

with open(os.path.join(folder, "facts.json"), "w") as file:
    json.dump(facts, file, indent=1, sort_keys=True)
    file.write("\n")
print(len(facts), "vectors,", sum(fact["archiveBytes"] for fact in facts), "bytes")
