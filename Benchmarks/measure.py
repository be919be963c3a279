"""Runs the jobs of Benchmarks/compare in turns and reports medians; see there for the arguments."""
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


class Job:
    """One task for both programs. `{out}` in a command is the file to write, deleted before each run."""

    def __init__(self, name, ours, theirs, repeat=1, check=None, folder=None):
        self.name, self.commands, self.repeat, self.check, self.folder = name, (ours, theirs), repeat, check, folder
        self.writes = "{out}" in ours


def copy_loop_jobs(reimage, loop, made):
    """Copies against a program that only reads and writes: as many have it, and as is fastest on the build machine."""
    raw = made["raw"]
    for name, flags in [("8 threads, O_DIRECT", ["-t", "8"]), ("at its best", ["-t", "4", "-r", "cached", "-a", "runs", "-h"])]:
        peer = [loop, *flags, raw, "{out}"]
        for job, source, image, target in [
            ("raw to raw", "raw", raw, "raw"),
            ("qcow2 to raw", "qcow2", made["plain.qcow2"], "raw"),
            ("raw to qcow2", "raw", raw, "qcow2"),
        ]:
            command = [reimage, "convert", "-q", "-f", source, "-O", target, image, "{out}"]
            yield Job("%s (peer: copy loop, %s)" % (job, name), command, peer, check=corpus.same_disk if target == "qcow2" else corpus.same_file)


def jobs(reimage, made, shm):
    def convert(name, image, *flags):
        return Job(
            "qcow2 to raw, " + name,
            [reimage, "convert", "-q", "-f", "qcow2", "-O", "raw", made[image], "{out}"],
            ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", "qcow2", "-O", "raw", made[image], "{out}"],
            check=corpus.same_file,
        )

    def write(name, flags, *more):
        return Job(
            "raw to qcow2, " + name,
            [reimage, "convert", "-q", *flags, "-f", "raw", "-O", "qcow2", made["raw"], "{out}"],
            ["qemu-img", "convert", *flags, *more, "-m", "16", "-f", "raw", "-O", "qcow2", made["raw"], "{out}"],
            check=corpus.same_disk,
        )

    plain, raw = made["plain.qcow2"], made["raw"]
    compare = ["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", plain, raw]
    yield convert("plain", "plain.qcow2")
    yield convert("plain (peer with -t none)", "plain.qcow2", "-t", "none")
    yield convert("zlib", "zlib.qcow2")
    yield convert("zstd", "zstd.qcow2")
    yield write("plain", [], "-W")
    yield write("plain (peer with -t none)", [], "-W", "-t", "none")
    yield write("-c zlib", ["-c"])
    yield write("-c zstd", ["-c", "-o", "compression_type=zstd"])
    yield from vhd_jobs(reimage, made)
    yield Job("compare", [reimage, "compare", "-q", "-f", "qcow2", "-F", "raw", plain, raw], compare)
    yield Job("digest (peer: compare)", [reimage, "digest", "-q", "-f", "qcow2", plain], compare)
    # From a shell, since starting a program from Python takes as long as the program.
    often = ["sh", "-c", 'i=0; while [ $i -lt 100 ]; do "$@" || exit; i=$((i + 1)); done', "sh"]
    yield Job("info, 100 times", often + [reimage, "info", plain], often + ["qemu-img", "info", plain])
    # A file of 64 TiB needs tmpfs (or XFS): ext4 ends at 16 TiB.
    yield Job(
        "empty 64 TiB qcow2 to raw",
        [reimage, "convert", "-q", "-f", "qcow2", made["empty"], "{out}"],
        ["qemu-img", "convert", "-W", "-m", "16", "-f", "qcow2", "-O", "raw", made["empty"], "{out}"],
        folder=shm,
    )


def vhd_jobs(reimage, made):
    """VHD in both directions; the exact size on both sides, which the peer must be asked for."""
    for name, flags in [("", []), (" (peer with -t none)", ["-t", "none"])]:
        yield Job(
            "VHD to raw" + name,
            [reimage, "convert", "-q", "-f", "vhd", "-O", "raw", made["plain.vhd"], "{out}"],
            ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", "vpc", "-O", "raw", made["plain.vhd"], "{out}"],
            check=corpus.same_file,
        )
        yield Job(
            "raw to VHD" + name,
            [reimage, "convert", "-q", "-f", "raw", "-O", "vhd", made["raw"], "{out}"],
            ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", "raw", "-O", "vpc", "-o", "force_size=on", made["raw"], "{out}"],
            check=corpus.same_vhd,
        )
    yield Job(
        "raw to fixed VHD",
        [reimage, "convert", "-q", "-f", "raw", "-O", "vhd", "-o", "subformat=fixed", made["raw"], "{out}"],
        ["qemu-img", "convert", "-W", "-m", "16", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", made["raw"], "{out}"],
        check=corpus.same_vhd,
    )


def once(command, out, cold):
    """Wall seconds with the result on the medium, CPU seconds and the peak of memory in bytes, of one run.

    The kernel counts this program's own memory (about 12 MiB) as the least that a program it starts ever had.
    """
    if out:
        if os.path.exists(out):
            os.remove(out)
        os.sync()
    if cold:
        with open("/proc/sys/vm/drop_caches", "w") as control:
            control.write("3")
    words = [out if word == "{out}" else word for word in command]
    begun = time.monotonic()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        process = os.posix_spawnp(
            words[0], words, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
        )
    finally:
        os.close(null)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit("benchmark: failed: " + " ".join(words))
    if out:
        descriptor = os.open(out, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure(job, pairs, work, cold):
    runs, sizes = ([], []), [0, 0]
    folder = job.folder or work
    outs = [os.path.join(folder, "out-%d.raw" % side) if job.writes else None for side in (0, 1)]
    count = pairs * job.repeat
    try:
        for pair in range(count):
            for side in (0, 1):
                runs[side].append(once(job.commands[side], outs[side], cold))
                if outs[side]:
                    sizes[side] = os.path.getsize(outs[side])
                if side == 1 and pair == 0 and job.check and not job.check(*outs):
                    raise SystemExit("benchmark: %s: the results differ" % job.name)
                if pair > 0 and outs[side]:
                    os.remove(outs[side])
            if pair == 0 and job.writes:
                for out in outs:
                    os.remove(out)
    finally:
        for out in outs:
            if out and os.path.exists(out):
                os.remove(out)

    def side(index):
        seconds, cpu, memory = zip(*runs[index])
        return {"seconds": statistics.median(seconds), "cpu": statistics.median(cpu), "peak": max(memory), "bytes": sizes[index]}

    ratios = [theirs[0] / ours[0] for ours, theirs in zip(*runs)]
    return {
        "job": job.name,
        "pairs": count,
        "reimage": side(0),
        "peer": side(1),
        "ratio": statistics.median(ratios),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def figure(seconds):
    return "%.2f s" % seconds if seconds >= 1 else "%.1f ms" % (seconds * 1000)


def length(count):
    return "%.1f MiB" % (count / 2**20) if count else "-"


def table(results, stated):
    lines = [
        stated,
        "",
        "| job | reimage | peer | times as fast | CPU | peer's CPU | memory | peer's memory | file | peer's file |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for result in results:
        ours, theirs = result["reimage"], result["peer"]
        lines.append(
            "| %s | %s | %s | %.2f (%.2f to %.2f) | %s | %s | %.0f MiB | %.0f MiB | %s | %s |"
            % (
                result["job"], figure(ours["seconds"]), figure(theirs["seconds"]), result["ratio"],
                min(result["ratios"]), max(result["ratios"]), figure(ours["cpu"]), figure(theirs["cpu"]),
                ours["peak"] / 2**20, theirs["peak"] / 2**20,
                length(ours["bytes"]), length(theirs["bytes"]),
            )
        )  # fmt: skip
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="Benchmarks/compare")
    parser.add_argument("--reimage", required=True)
    parser.add_argument("--copy-loop")
    parser.add_argument("--gib", type=float, default=2.5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--work")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--json")
    parser.add_argument("--job", action="append")
    options = parser.parse_args()
    if options.keep and not options.work:
        parser.error("--keep needs --work, or nobody finds the corpus again")

    work = options.work or tempfile.mkdtemp(prefix="reimage-benchmark-")
    os.makedirs(work, exist_ok=True)
    shm = tempfile.mkdtemp(prefix="reimage-benchmark-", dir="/dev/shm") if os.path.isdir("/dev/shm") else None
    made = None
    try:
        made = corpus.build(work, options.gib)
        if not options.cold:
            for path in made.values():
                subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
        results = []
        wanted = list(jobs(options.reimage, made, shm))
        if options.copy_loop:
            wanted += copy_loop_jobs(options.reimage, options.copy_loop, made)
        for job in wanted:
            if options.job and not any(word in job.name for word in options.job):
                continue
            if job.folder is None and "64 TiB" in job.name:
                corpus.say("skipped, there is no /dev/shm: " + job.name)
                continue
            corpus.say("measuring " + job.name)
            results.append(measure(job, options.pairs, work, options.cold))
        version = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
        stated = "%d cores, %g GiB of data in %s disks, %s page cache, medians of %d pairs in turns; %s." % (
            os.cpu_count(), options.gib, "%.1f GiB" % (os.path.getsize(made["raw"]) / 2**30),
            "cold" if options.cold else "warm", options.pairs, version,
        )  # fmt: skip
        print(table(results, stated))
        document = json.dumps({"stated": stated, "jobs": results}, indent=2)
        if options.json:
            with open(options.json, "w") as file:
                file.write(document + "\n")
        else:
            print("\n" + document)
    finally:
        if shm:
            shutil.rmtree(shm, ignore_errors=True)
        if not options.keep:
            for path in (made or {}).values():
                if os.path.exists(path):
                    os.remove(path)
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
