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
import jobs


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
    begun = time.monotonic()
    # A fork, since a spawned child is charged with the most memory that this process ever had.
    process = os.fork()
    if process == 0:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit("benchmark: failed: " + " ".join(command))
    if out:
        descriptor = os.open(out, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure(job, pairs, folder, corpora, cold):
    runs, sizes = ([], []), [0, 0]
    outs = [os.path.join(folder, "out-%d" % side) if job.writes else None for side in (0, 1)]
    commands = [jobs.words(job.commands[side], corpora, outs[side]) for side in (0, 1)]
    count = min(pairs, job.most or pairs) * job.repeat
    try:
        for pair in range(count):
            for side in (0, 1):
                runs[side].append(once(commands[side], outs[side], cold))
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


class Places:
    """Where a job's files lie: the work folder, or a file system mounted for it."""

    def __init__(self, work, corpora):
        self.work, self.corpora, self.mounted = work, corpora, None

    def of(self, job):
        """The folder for the job's output, and where its corpora are found; `None` where it cannot be had."""
        if not job.inside:
            return job.folder or self.work, self.corpora.path
        if os.geteuid() != 0 or not shutil.which("mkfs." + job.inside):
            return None
        if not self.mounted or self.mounted.kind != job.inside:
            self.close()
            count = int(self.corpora.gib * 4 + 1) << 30
            self.mounted = corpus.Mounted(job.inside, self.work, count)
            self.mounted.kind = job.inside
        return self.mounted.folder, self.inside

    def inside(self, name):
        path = os.path.join(self.mounted.folder, name)
        if not os.path.exists(path):
            corpus.run("cp", "--sparse=always", self.corpora.path(name), path)
            os.sync()
        return path

    def close(self):
        if self.mounted:
            self.mounted.close()
        self.mounted = None


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
    corpora = corpus.Corpus(work, options.gib, options.reimage)
    places = Places(work, corpora)
    try:
        results = []
        for job in jobs.every(options.reimage, options.copy_loop, shm):
            if options.job and not any(word in job.name for word in options.job):
                continue
            place = places.of(job)
            if not place:
                corpus.say("skipped, it needs root and mkfs.%s: %s" % (job.inside, job.name))
                continue
            folder, find = place
            sources = {find(name) for command in job.commands for name in jobs.names(command)}
            if not options.cold:
                for path in sources:
                    subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
            corpus.say("measuring " + job.name)
            results.append(measure(job, options.pairs, folder, find, options.cold))
        version = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
        stated = "%d cores, %g GiB of data in %s disks, %s page cache, medians of %d pairs in turns; %s." % (
            os.cpu_count(), options.gib, "%.1f GiB" % (os.path.getsize(corpora.path("raw")) / 2**30),
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
        places.close()
        if shm:
            shutil.rmtree(shm, ignore_errors=True)
        if not options.keep:
            corpora.remove()
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
