"""The benchmark's disk, made of the machine's own files: GPT with an ESP, ext4, swap and NTFS; and images of it.

The same machine gives the same contents, place by place; only what the tools stamp on a file system differs.
"""
import os
import shutil
import subprocess
import sys

TREES = ["/usr/lib", "/usr/share", "/usr/bin", "/opt", "/usr/local", "/var/lib"]
MIB = 1 << 20
# Which share of the data each partition holds.
SHARES = {"esp": 0.02, "ext4": 0.70, "swap": 0.06, "ntfs": 0.22}


def say(text):
    print("benchmark: " + text, file=sys.stderr, flush=True)


def run(*command, text=None):
    subprocess.run(command, check=True, input=text, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def files():
    """The machine's files in sorted order, each once: (path, bytes on a disk)."""
    inodes = set()
    for tree in TREES:
        for path, directories, names in os.walk(tree):
            directories.sort()
            for name in sorted(names):
                source = os.path.join(path, name)
                try:
                    status = os.lstat(source)
                except OSError:
                    continue
                if not os.path.isfile(source) or os.path.islink(source) or (status.st_dev, status.st_ino) in inodes:
                    continue
                inodes.add((status.st_dev, status.st_ino))
                yield source, (status.st_size + 4095) // 4096 * 4096


def take(source, wanted):
    """Files of `source` until `wanted` bytes are there."""
    taken, total = [], 0
    for path, count in source:
        taken.append(path)
        total += count
        if total >= wanted:
            return taken
    raise SystemExit("benchmark: this machine has too few files for that; pass a smaller --gib")


def stage(folder, paths):
    """Links, or else copies, `paths` into `folder`."""
    for source in paths:
        target = folder + source
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def blank(path, count):
    with open(path, "wb") as file:
        file.truncate(count)


def copy_sparse(source, target, place):
    """Copies the data of `source` into the open `target` at `place`; holes stay holes."""
    with open(source, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        start = 0
        while start < end:
            try:
                start = os.lseek(file.fileno(), start, os.SEEK_DATA)
            except OSError:
                return
            stop = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            file.seek(start)
            target.seek(place + start)
            while start < stop:
                piece = file.read(min(stop - start, 4 * MIB))
                target.write(piece)
                start += len(piece)


def make_esp(path, paths, count):
    blank(path, max(count * 2, 48 * MIB))
    run("mkfs.vfat", "-n", "ESP", "-i", "5EED0001", path)
    for number, source in enumerate(paths):
        run("mcopy", "-o", "-i", path, source, "::%05d.bin" % number)


def make_ext4(path, paths, count, work):
    """A system's tree; every ninth file is deleted again, its bytes stay."""
    tree = os.path.join(work, "tree")
    shutil.rmtree(tree, ignore_errors=True)
    os.makedirs(tree)
    stage(tree, paths)
    blank(path, (int(count * 1.6) >> 20) + 256 << 20)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-U", "5eed0000-0000-4000-8000-000000000002", "-d", tree, path)
    shutil.rmtree(tree)
    gone = "".join('rm "%s"\n' % name for name in paths[::9] if '"' not in name)
    run("debugfs", "-w", "-f", "-", path, text=gone)


def make_swap(path, paths, count):
    """A swap area in which pages of the files were left."""
    blank(path, (count * 2 >> 20) + 8 << 20)
    run("mkswap", "-U", "5eed0000-0000-4000-8000-000000000003", path)
    with open(path, "r+b") as area:
        area.seek(MIB)
        for source in paths:
            with open(source, "rb") as file:
                area.write(file.read())
            area.seek((area.tell() + 4095) // 4096 * 4096)
            if area.tell() > MIB + count:
                break


def make_ntfs(path, paths, count):
    blank(path, (int(count * 1.4) >> 20) + 64 << 20)
    run("mkfs.ntfs", "-q", "-F", "-Q", "-L", "DATA", path)
    for number, source in enumerate(paths):
        run("ntfscp", "-f", "-q", path, source, "file-%05d.bin" % number)


def make_disk(path, work, gib):
    """The whole disk, as a sparse raw file."""
    source = files()
    sizes = {name: int(share * gib * 2**30) for name, share in SHARES.items()}
    big = lambda stream: ((name, count) for name, count in stream if count >= 256 << 10)  # few large files: one call each
    parts = {}
    for name in ("ext4", "ntfs", "swap", "esp"):
        say("making the %s file system" % name)
        parts[name] = os.path.join(work, "part-" + name)
        paths = take(source if name == "ext4" else big(source), sizes[name])
        if name == "ext4":
            make_ext4(parts[name], paths, sizes[name], work)
        else:
            {"esp": make_esp, "swap": make_swap, "ntfs": make_ntfs}[name](parts[name], paths, sizes[name])
    kinds = {
        "esp": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "ext4": "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F", "ntfs": "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
    }  # fmt: skip
    place, table = MIB, "label: gpt\nlabel-id: 5EED0000-0000-4000-8000-000000000000\n"
    with open(path, "wb") as disk:
        for name in SHARES:
            count = (os.path.getsize(parts[name]) + MIB - 1) // MIB * MIB
            table += "start=%d, size=%d, type=%s\n" % (place // 512, count // 512, kinds[name])
            copy_sparse(parts[name], disk, place)
            place += count
            os.remove(parts[name])
        disk.truncate(place + MIB)
    run("sfdisk", "-q", path, text=table)


class Corpus:
    """The disk and its images by name, each made when it is first asked for."""

    def __init__(self, work, gib, reimage):
        self.work, self.gib, self.reimage = work, gib, reimage
        self.paths = {}

    def path(self, name):
        """The file called `name`, made if it is missing."""
        if name in self.paths:
            return self.paths[name]
        path = os.path.join(self.work, "corpus-%g-%s" % (self.gib, name))
        if not os.path.exists(path):
            say("making " + name)
            draft = path + ".draft"
            self.make(name, draft)
            os.rename(draft, path)
        self.paths[name] = path
        return path

    def make(self, name, draft):
        def convert(format, *options):
            run("qemu-img", "convert", "-W", "-m", "16", "-f", "raw", "-O", format, *options, self.path("raw"), draft)

        if name == "raw":
            make_disk(draft, self.work, self.gib)
        elif name == "part.raw":  # what a slow peer can deal with
            with open(self.path("raw"), "rb") as source, open(draft, "wb") as target:
                source.seek(128 * MIB)
                for _ in range(256):
                    target.write(source.read(MIB))
        elif name.endswith(".gib"):  # the same, at the start of a disk of so many GiB
            with open(draft, "wb") as target:
                copy_sparse(self.path("raw"), target, 0)
                target.truncate(int(name[:-4]) << 30)
        elif name == "plain.qcow2":
            convert("qcow2")
        elif name in ("zlib.qcow2", "zstd.qcow2"):
            convert("qcow2", "-c", "-o", "compression_type=" + name[:4])
        elif name == "plain.vhd":
            convert("vpc", "-o", "force_size=on")
        elif name == "rimg":
            run(self.reimage, "convert", "-q", "-f", "raw", "-O", "rimg", self.path("raw"), draft)
        elif name == "zst":
            run("zstd", "-q", "-T0", "-3", self.path("raw"), "-o", draft)
        elif name == "empty.qcow2":
            run("qemu-img", "create", "-q", "-f", "qcow2", draft, "64T")
        else:
            raise SystemExit("benchmark: there is no corpus called " + name)

    def remove(self):
        for path in self.paths.values():
            if os.path.exists(path):
                os.remove(path)


class Mounted:
    """A file system of its own, over a loop device: for what depends on one."""

    def __init__(self, kind, work, count):
        self.image, self.folder = os.path.join(work, kind + ".image"), os.path.join(work, kind)
        blank(self.image, count)
        os.makedirs(self.folder, exist_ok=True)
        run("mkfs." + kind, "-q", "-f", self.image)
        run("mount", "-o", "loop", "-t", kind, self.image, self.folder)

    def close(self):
        run("umount", self.folder)
        os.rmdir(self.folder)
        os.remove(self.image)


def same_file(first, second):
    """True where two files hold the same bytes."""
    return subprocess.run(["cmp", "-s", first, second], check=False).returncode == 0


def same_disk(first, second):
    """True where two images hold the same disk."""
    return subprocess.run(["qemu-img", "compare", "-q", first, second], check=False).returncode == 0


def same_vhd(first, second):
    """The same for VHDs, which are not always told by their first bytes."""
    return subprocess.run(["qemu-img", "compare", "-q", "-f", "vpc", "-F", "vpc", first, second], check=False).returncode == 0
