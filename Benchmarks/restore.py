"""Runs the jobs of Benchmarks/restore in turns and reports medians; see there for the arguments."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import corpus


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def prepare(reimage, work, gib):
    """The corpus, and the packed forms that are compared; the paths by name."""
    images = corpus.Corpus(work, gib, reimage)
    return {name: images.path(name) for name in ("raw", "zlib.qcow2", "rimg", "zst")}


def jobs(reimage, made, device):
    quick = [reimage, "restore", "-q", "--yes", "--no-verify", "--no-journal"]
    peer = "zstd -qdc '%s' | dd of=%s oflag=direct iflag=fullblock bs=1M conv=fsync status=none" % (made["zst"], device)
    qemu = ["qemu-img", "convert", "-n", "-W", "-m", "16", "-t", "none", "-f", "qcow2", "-O", "raw", made["zlib.qcow2"], device]
    yield "zlib qcow2 (qemu-img convert -n -W -m 16 -t none)", quick + ["-f", "qcow2", made["zlib.qcow2"], device], qemu
    yield "archive (zstd -d piped into dd oflag=direct)", quick + ["-f", "rimg", made["rimg"], device], ["sh", "-c", peer]


def proof(reimage, made, device):
    """An archive verified, not verified, and the disk read once: what the first costs more is held against the third."""
    plain = [reimage, "restore", "-q", "--yes", "--no-journal", "-f", "rimg", made["rimg"], device]
    return plain, plain + ["--no-verify"], ["dd", "if=" + device, "of=/dev/null", "iflag=direct", "bs=1M", "status=none"]


def once(command, disk, fresh):
    """Wall seconds with the result on the medium, and CPU seconds; the disk starts empty where it is `fresh`."""
    if fresh:
        run("fallocate", "--punch-hole", "--offset", "0", "--length", str(os.path.getsize(disk)), disk)
    os.sync()
    before = os.times()
    begun = time.monotonic()
    run(*command)
    descriptor = os.open(disk, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)
    wall = time.monotonic() - begun
    after = os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def measure(name, commands, pairs, disk, raw):
    runs = tuple([] for _ in commands)
    for pair in range(pairs):
        for side, command in enumerate(commands):
            reads = command[0] == "dd"
            runs[side].append(once(command, disk, not reads))
            if pair == 0 and not reads and subprocess.run(["cmp", "-s", "-n", str(os.path.getsize(raw)), raw, disk], check=False).returncode:
                raise SystemExit("benchmark: %s: the disk does not hold the image" % name)
    medians = [[statistics.median(run[kind] for run in side) for kind in (0, 1)] for side in runs]
    return {"name": name, "seconds": [m[0] for m in medians], "cpu": [m[1] for m in medians], "runs": runs}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reimage", required=True)
    parser.add_argument("--gib", type=float, default=2.5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--work")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--job")
    parser.add_argument("--cached", action="store_true")
    options = parser.parse_args()
    work = options.work or tempfile.mkdtemp(prefix="reimage-benchmark-")
    os.makedirs(work, exist_ok=True)
    disk, device, made = os.path.join(work, "disk"), None, None
    try:
        made = prepare(options.reimage, work, options.gib)
        for name in ("zlib.qcow2", "rimg", "zst"):
            run("cat", made[name])
        with open(disk, "wb") as file:
            file.truncate(os.path.getsize(made["raw"]))
        device = subprocess.run(["losetup", "-f", "--show", "--direct-io=" + ("off" if options.cached else "on"), disk], check=True, capture_output=True, text=True).stdout.strip()
        print("| image (measured against) | reimage | the other | times as fast | CPU |")
        print("|---|---:|---:|---:|---:|")
        results = []
        for name, ours, theirs in jobs(options.reimage, made, device):
            if options.job and options.job not in name:
                continue
            result = measure(name, (ours, theirs), options.pairs, disk, made["raw"])
            results.append(result)
            ratio = result["seconds"][1] / result["seconds"][0]
            print("| %s | %.2f s | %.2f s | %.1f | %.1f s / %.1f s |" % (name, *result["seconds"], ratio, *result["cpu"]), flush=True)
        name = "verifying an archive's restore (dd iflag=direct bs=1M, one read)"
        if not options.job or options.job in name:
            result = measure(name, proof(options.reimage, made, device), options.pairs, disk, made["raw"])
            results.append(result)
            # Of each turn the difference, so that a machine that slows down meanwhile does so for both.
            cost = [statistics.median(a[kind] - b[kind] for a, b in zip(*result["runs"][:2])) for kind in (0, 1)]
            read = [result["seconds"][2], result["cpu"][2]]
            print("| %s | %.2f s more | %.2f s | %.1f | %.1f s / %.1f s |" % (name, cost[0], read[0], read[0] / max(cost[0], 1e-3), cost[1], read[1]), flush=True)
        if options.json:
            with open(options.json, "w") as file:
                json.dump(results, file, indent=2)
    finally:
        if device:
            subprocess.run(["losetup", "-d", device], check=False)
        if os.path.exists(disk):
            os.remove(disk)
        if not options.keep:
            for path in (made or {}).values():
                if os.path.exists(path):
                    os.remove(path)
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
