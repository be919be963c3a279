"""Cost against size; see Benchmarks/scale."""
import argparse
import json
import os
import shutil
import struct
import sys
import tempfile
import zlib

import corpus
from measure import once

CLUSTER = 65536
COPIED, COMPRESSED = 1 << 63, 1 << 62
# The clusters that are stored: 4 MiB, so that requests are as long as those of a real image.
STORED = 64


def contents():
    """Different clusters of this machine's files."""
    source, data = corpus.files(), b""
    while len(data) < STORED * CLUSTER:
        with open(next(source)[0], "rb") as file:
            data += file.read(1 << 20)
    return [data[number * CLUSTER : (number + 1) * CLUSTER] for number in range(STORED)]


def repeated(path, gib, compressed):
    """A qcow2 image of `gib` GiB, all of it data, whose clusters are the same 64 again and again."""
    clusters = gib << 30 >> 16
    tables = (clusters + 8191) // 8192
    # Header, refcount table, L1, L2 tables, data.
    l1_clusters = (tables * 8 + CLUSTER - 1) // CLUSTER
    l2_place = (2 + l1_clusters) * CLUSTER
    place = l2_place + tables * CLUSTER
    entries, stored = [], b""
    for data in contents():
        if compressed:
            coder = zlib.compressobj(6, zlib.DEFLATED, -12, 9)
            data = coder.compress(data) + coder.flush()
            start = place + len(stored)
            sectors = (start + len(data) - 1) // 512 - start // 512
            entries.append(COMPRESSED | sectors << 54 | start)
        else:
            entries.append(COPIED | place + len(stored))
        stored += data
    stored += bytes(-len(stored) % CLUSTER)
    table = b"".join(struct.pack(">Q", entries[number % STORED]) for number in range(8192))
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, gib << 30, 0, tables, 2 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104
    )
    with open(path, "wb") as image:
        image.write(header)
        image.seek(2 * CLUSTER)
        image.write(b"".join(struct.pack(">Q", COPIED | l2_place + number * CLUSTER) for number in range(tables)))
        image.seek(l2_place)
        for _ in range(tables):
            image.write(table)
        image.write(stored)


def full(reimage, work, sizes, results):
    for name, compressed, arguments, most in [
        ("digest", False, ["digest", "-q"], None),
        ("to raw, into a pipe", False, ["convert", "-q", "-O", "raw"], None),
        ("zlib clusters to raw, into a pipe", True, ["convert", "-q", "-O", "raw"], None),
        ("to an archive, into a pipe", False, ["convert", "-q", "-O", "rimg"], 8),
    ]:
        for gib in sizes:
            if most and gib > most:
                continue
            path = os.path.join(work, "repeated-%d-%s.qcow2" % (gib, "zlib" if compressed else "plain"))
            if not os.path.exists(path):
                repeated(path, gib, compressed)
            target = ["/dev/null"] if arguments[0] == "convert" else []
            corpus.say("measuring %s, %d GiB" % (name, gib))
            seconds, cpu, peak = once([reimage, *arguments, path, *target], None, False)
            results.append({"job": name, "size": "%d GiB" % gib, "seconds": seconds, "cpu": cpu, "peak": peak, "rate": (gib << 30) / seconds})


def empty(reimage, work, results):
    shm = tempfile.mkdtemp(prefix="reimage-scale-", dir="/dev/shm")
    try:
        images = {"qcow2": os.path.join(work, "empty.qcow2"), "raw": os.path.join(shm, "empty.raw"), "rimg": os.path.join(work, "empty.rimg")}
        corpus.run("qemu-img", "create", "-q", "-f", "qcow2", images["qcow2"], "64T")
        corpus.blank(images["raw"], 64 << 40)
        corpus.run(reimage, "convert", "-q", "--force", "-f", "qcow2", "-O", "rimg", images["qcow2"], images["rimg"])
        for verb in ("info", "map", "digest"):
            for format, path in images.items():
                runs = sorted(once([reimage, verb, "-f", format, path], None, False) for _ in range(5))
                seconds, cpu, peak = runs[2]
                results.append({"job": "%s of an empty %s" % (verb, format), "size": "64 TiB", "seconds": seconds, "cpu": cpu, "peak": peak})
    finally:
        shutil.rmtree(shm)


def table(results):
    lines = ["| job | disk | time | GB/s | CPU | memory |", "|---|---:|---:|---:|---:|---:|"]
    for result in results:
        rate = "%.1f" % (result["rate"] / 1e9) if "rate" in result else "-"
        seconds = "%.2f s" % result["seconds"] if result["seconds"] >= 0.1 else "%.1f ms" % (result["seconds"] * 1000)
        lines.append(
            "| %s | %s | %s | %s | %.2f s | %.0f MiB |"
            % (result["job"], result["size"], seconds, rate, result["cpu"], result["peak"] / 2**20))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/scale")
    parser.add_argument("--reimage", required=True)
    parser.add_argument("--gib", type=int, action="append")
    parser.add_argument("--work")
    parser.add_argument("--json")
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="reimage-scale-")
    os.makedirs(work, exist_ok=True)
    results = []
    try:
        empty(options.reimage, work, results)
        full(options.reimage, work, options.gib or [1, 8, 64], results)
        print(table(results))
        if options.json:
            with open(options.json, "w") as file:
                json.dump(results, file, indent=2)
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
