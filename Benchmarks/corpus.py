"""The benchmark's disk: an ext4 file system of the machine's own files, and its images."""
import os
import shutil
import subprocess
import sys

TREES = ["/usr/lib", "/usr/share", "/usr/bin", "/opt", "/usr/local", "/var/lib"]


def say(text):
    print("benchmark: " + text, file=sys.stderr, flush=True)


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def stage(folder, wanted):
    """Links (or else copies) files into `folder`, in sorted order, until `wanted` bytes are there."""
    total = 0
    inodes = set()
    for tree in TREES:
        for path, directories, files in os.walk(tree):
            directories.sort()
            for name in sorted(files):
                source = os.path.join(path, name)
                try:
                    status = os.lstat(source)
                except OSError:
                    continue
                if not os.path.isfile(source) or os.path.islink(source) or (status.st_dev, status.st_ino) in inodes:
                    continue
                target = folder + source
                os.makedirs(os.path.dirname(target), exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:
                    shutil.copy2(source, target)
                inodes.add((status.st_dev, status.st_ino))
                total += (status.st_size + 4095) // 4096 * 4096
                if total >= wanted:
                    return total
    return total


def build(work, gib):
    """Makes what is missing in `work`; the paths by name."""
    made = {name: os.path.join(work, "corpus-%g-%s" % (gib, name)) for name in ["plain.qcow2", "zlib.qcow2", "zstd.qcow2", "plain.vhd"]}
    made["raw"] = os.path.join(work, "corpus-%g.raw" % gib)
    made["empty"] = os.path.join(work, "empty-64T.qcow2")
    if not os.path.exists(made["raw"]):
        say("staging %g GiB of this machine's files" % gib)
        tree = os.path.join(work, "tree")
        shutil.rmtree(tree, ignore_errors=True)
        os.makedirs(tree)
        total = stage(tree, int(gib * 2**30))
        if total < gib * 2**30:
            raise SystemExit("benchmark: this machine has %.1f GiB of files to take, not %g; pass --gib" % (total / 2**30, gib))
        draft = made["raw"] + ".draft"
        with open(draft, "wb") as disk:
            disk.truncate((int(total * 1.5) >> 20) + 256 << 20)
        say("making an ext4 disk of them")
        run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, draft)
        shutil.rmtree(tree)
        os.rename(draft, made["raw"])
    for name, format, options in [
        ("plain.qcow2", "qcow2", []),
        ("zlib.qcow2", "qcow2", ["-c", "-o", "compression_type=zlib"]),
        ("zstd.qcow2", "qcow2", ["-c", "-o", "compression_type=zstd"]),
        ("plain.vhd", "vpc", ["-o", "force_size=on"]),
    ]:
        if not os.path.exists(made[name]):
            say("making " + name)
            draft = made[name] + ".draft"
            run("qemu-img", "convert", "-W", "-m", "16", "-f", "raw", "-O", format, *options, made["raw"], draft)
            os.rename(draft, made[name])
    if not os.path.exists(made["empty"]):
        run("qemu-img", "create", "-q", "-f", "qcow2", made["empty"], "64T")
    return made


def same_file(first, second):
    """True where two files hold the same bytes."""
    return subprocess.run(["cmp", "-s", first, second], check=False).returncode == 0


def same_disk(first, second):
    """True where two images hold the same disk."""
    return subprocess.run(["qemu-img", "compare", "-q", first, second], check=False).returncode == 0


def same_vhd(first, second):
    """The same for VHDs, which are not always told by their first bytes."""
    return subprocess.run(["qemu-img", "compare", "-q", "-f", "vpc", "-F", "vpc", first, second], check=False).returncode == 0
