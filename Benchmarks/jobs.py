"""What Benchmarks/compare measures: one task a job, for both programs."""
import re

import corpus


class Job:
    """One task for both programs.

    In a command `{out}` is the file to write, deleted before each run, and `{NAME}` the corpus of that name; with
    `inside`, both lie in a file system of that kind. `most` bounds the number of pairs.
    """

    def __init__(self, name, ours, theirs, repeat=1, most=None, check=None, folder=None, inside=None):
        self.name, self.commands, self.repeat, self.most = name, (ours, theirs), repeat, most
        self.check, self.folder, self.inside = check, folder, inside
        self.writes = "{out}" in " ".join(ours)


def shell(text):
    return ["sh", "-c", text]


def every(reimage, loop, shm):
    """All jobs, in the order of the table; those against the copy loop where there is one."""
    yield from qcow2(reimage)
    yield from vhd(reimage)
    yield from reading(reimage, shm)
    yield from adoption(reimage)
    yield from archives(reimage)
    yield from sharing(reimage)
    if loop:
        yield from copy_loop(reimage, loop)


def qcow2(reimage):
    def convert(name, image, *flags):
        return Job(
            "qcow2 to raw, " + name,
            [reimage, "convert", "-q", "-f", "qcow2", "-O", "raw", "{%s}" % image, "{out}"],
            ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", "qcow2", "-O", "raw", "{%s}" % image, "{out}"],
            check=corpus.same_file,
        )

    def write(name, flags, *more):
        return Job(
            "raw to qcow2, " + name,
            [reimage, "convert", "-q", *flags, "-f", "raw", "-O", "qcow2", "{raw}", "{out}"],
            ["qemu-img", "convert", *flags, *more, "-m", "16", "-f", "raw", "-O", "qcow2", "{raw}", "{out}"],
            check=corpus.same_disk,
        )

    yield convert("plain", "plain.qcow2")
    yield convert("plain (peer with -t none)", "plain.qcow2", "-t", "none")
    yield convert("zlib", "zlib.qcow2")
    yield convert("zstd", "zstd.qcow2")
    yield write("plain", [], "-W")
    yield write("plain (peer with -t none)", [], "-W", "-t", "none")
    yield write("-c zlib", ["-c"])
    yield write("-c zstd", ["-c", "-o", "compression_type=zstd"])


def vhd(reimage):
    """VHD in both directions; the exact size on both sides, which the peer must be asked for."""
    for name, flags in [("", []), (" (peer with -t none)", ["-t", "none"])]:
        yield Job(
            "VHD to raw" + name,
            [reimage, "convert", "-q", "-f", "vhd", "-O", "raw", "{plain.vhd}", "{out}"],
            ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", "vpc", "-O", "raw", "{plain.vhd}", "{out}"],
            check=corpus.same_file,
        )
        yield Job(
            "raw to VHD" + name,
            [reimage, "convert", "-q", "-f", "raw", "-O", "vhd", "{raw}", "{out}"],
            ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", "raw", "-O", "vpc", "-o", "force_size=on", "{raw}", "{out}"],
            check=corpus.same_vhd,
        )
    yield Job(
        "raw to fixed VHD",
        [reimage, "convert", "-q", "-f", "raw", "-O", "vhd", "-o", "subformat=fixed", "{raw}", "{out}"],
        ["qemu-img", "convert", "-W", "-m", "16", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on", "{raw}", "{out}"],
        check=corpus.same_vhd,
    )


def reading(reimage, shm):
    compare = ["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "raw", "{plain.qcow2}", "{raw}"]
    yield Job("compare", [reimage, "compare", "-q", "-f", "qcow2", "-F", "raw", "{plain.qcow2}", "{raw}"], compare)
    yield Job("digest (peer: compare)", [reimage, "digest", "-q", "-f", "qcow2", "{plain.qcow2}"], compare)
    # From a shell, since starting a program from Python takes as long as the program.
    often = shell('i=0; while [ $i -lt 100 ]; do "$@" || exit; i=$((i + 1)); done') + ["sh"]
    yield Job(
        "info, 100 times", often + [reimage, "info", "{plain.qcow2}"], often + ["qemu-img", "info", "{plain.qcow2}"])
    # A file of 64 TiB needs tmpfs (or XFS): ext4 ends at 16 TiB.
    if shm:
        yield Job(
            "empty 64 TiB qcow2 to raw",
            [reimage, "convert", "-q", "-f", "qcow2", "{empty.qcow2}", "{out}"],
            ["qemu-img", "convert", "-W", "-m", "16", "-f", "qcow2", "-O", "raw", "{empty.qcow2}", "{out}"],
            folder=shm,
        )


def adoption(reimage):
    """Compressed chunks copied as they are stored, against decoding and encoding them."""
    for codec in ("zlib", "zstd"):
        common = [reimage, "convert", "-q", "-c", "--codec", codec, "-f", "qcow2", "-O", "qcow2"]
        yield Job(
            "pass-through, %s qcow2 to qcow2 (peer: --recompress)" % codec,
            common + ["{%s.qcow2}" % codec, "{out}"],
            common + ["--recompress", "{%s.qcow2}" % codec, "{out}"],
            check=corpus.same_disk,
        )
    common = [reimage, "convert", "-q", "-f", "rimg", "-O", "rimg"]
    yield Job(
        "pass-through, archive to archive (peer: --recompress)",
        common + ["{rimg}", "{out}"], common + ["--recompress", "{rimg}", "{out}"],
    )  # fmt: skip


def archives(reimage):
    yield Job(
        "archive, default (peer: zstd -T0 -3)",
        [reimage, "convert", "-q", "-f", "raw", "-O", "rimg", "{raw}", "{out}"],
        ["zstd", "-q", "-T0", "-3", "{raw}", "-o", "{out}"],
    )
    for size in (8, 32):
        disk = "{%d.gib}" % size
        yield Job(
            "archive of a disk of %d GiB with as much data, default (peer: zstd -T0 -3)" % size,
            [reimage, "convert", "-q", "-f", "raw", "-O", "rimg", disk, "{out}"],
            ["zstd", "-q", "-T0", "-3", disk, "-o", "{out}"],
        )
    yield Job(
        "archive of 256 MiB, profile max (peer: xz -9e -T2)",
        [reimage, "convert", "-q", "-f", "raw", "-O", "rimg", "--profile", "max", "{part.raw}", "{out}"],
        shell("xz -9e -T2 -c '{part.raw}' > '{out}'"),
        most=1,
    )
    yield Job(
        "restore to raw (peer: zstd -d)",
        [reimage, "convert", "-q", "-f", "rimg", "-O", "raw", "{rimg}", "{out}"],
        ["zstd", "-q", "-d", "--sparse", "{zst}", "-o", "{out}"],
        check=corpus.same_file,
    )


def sharing(reimage):
    """Within one file system that shares blocks; the source was synced before."""
    for kind in ("xfs", "btrfs"):
        for name, source, target, image, check in [
            ("raw to qcow2", "raw", "qcow2", "raw", corpus.same_disk),
            ("qcow2 to raw", "qcow2", "raw", "plain.qcow2", corpus.same_file),
        ]:
            for flags in ([], ["-t", "none"]):
                yield Job(
                    "%s, %s%s" % (kind, name, " (peer with -t none)" if flags else ""),
                    [reimage, "convert", "-q", "-f", source, "-O", target, "{%s}" % image, "{out}"],
                    ["qemu-img", "convert", *flags, "-W", "-m", "16", "-f", source, "-O", target, "{%s}" % image, "{out}"],
                    check=check, inside=kind,
                )  # fmt: skip


def copy_loop(reimage, loop):
    """Copies against a program that only reads and writes: as many have it, and as is fastest on the build machine."""
    for name, flags in [("8 threads, O_DIRECT", ["-t", "8"]), ("at its best", ["-t", "4", "-r", "cached", "-a", "runs", "-h"])]:
        peer = [loop, *flags, "{raw}", "{out}"]
        for job, source, image, target in [
            ("raw to raw", "raw", "raw", "raw"),
            ("qcow2 to raw", "qcow2", "plain.qcow2", "raw"),
            ("raw to qcow2", "raw", "raw", "qcow2"),
        ]:
            command = [reimage, "convert", "-q", "-f", source, "-O", target, "{%s}" % image, "{out}"]
            yield Job(
                "%s (peer: copy loop, %s)" % (job, name), command, peer,
                check=corpus.same_disk if target == "qcow2" else corpus.same_file)


PLACE = re.compile(r"\{([a-z0-9.]+)\}")


def names(command):
    """The corpora that a command reads."""
    return {name for word in command for name in PLACE.findall(word) if name != "out"}


def words(command, find, out):
    """The command with every `{NAME}` put in."""
    return [PLACE.sub(lambda match: out if match[1] == "out" else find(match[1]), word) for word in command]
