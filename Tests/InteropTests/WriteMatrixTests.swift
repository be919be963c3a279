import Foundation
import ReimageTesting
import TestSupport
import Testing

/// Images of every kind that `reimage` writes, judged by qemu's tools and 7-Zip.
@Suite struct WriteMatrixTests {
    private let folder = Scratch()

    @Test(arguments: WriteRecipe.matrix)
    func isReadByOthers(_ recipe: WriteRecipe) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        try makeBase(recipe, workshop)
        let disk = recipe.disk(over: folder.read("base.raw") ?? [])
        folder.write(disk, to: "in.raw")
        let arguments = ["convert", "-q"] + recipe.arguments(dataFileName: "out.data")
        try reimage.succeed(arguments + ["--verify", "-j", "2", "in.raw", "out.qcow2"], in: folder)

        // The exit status tells of corruptions and leaks alike.
        try workshop.img.succeed(["check", "-q", "-f", "qcow2", "out.qcow2"], in: folder)
        try workshop.img.succeed(["compare", "-q", "-f", "raw", "-F", "qcow2", "in.raw", "out.qcow2"], in: folder)
        try reimage.succeed(["check", "-q", "-f", "qcow2", "out.qcow2"], in: folder)
        try checkInfo(recipe, workshop)
        try checkMeasure(recipe, reimage)
        if recipe.isForSevenZip, let sevenZip = Program(named: "7z") {
            let theirs = try sevenZip.succeed(["x", "-tqcow", "-so", "out.qcow2"], in: folder).output
            let padding = Data(count: (512 - disk.count % 512) % 512)
            #expect(firstDifference(Data(disk) + padding, theirs) == nil)
        }
        try checkOtherThreadCounts(recipe, reimage, arguments)
        if recipe.dataFile == .none {
            try reimage.succeed(["convert", "-q"] + recipe.arguments(dataFileName: "") + ["in.raw", "-"], in: folder)
                .output.write(to: URL(fileURLWithPath: folder.file("piped.qcow2")))
            try workshop.img.succeed(["check", "-q", "-f", "qcow2", "piped.qcow2"], in: folder)
            try workshop.img.succeed(
                ["compare", "-q", "-f", "raw", "-F", "qcow2", "in.raw", "piped.qcow2"], in: folder)
        }
    }

    /// A disk below that is shorter or longer than the one above, and has holes.
    private func makeBase(_ recipe: WriteRecipe, _ workshop: Workshop) throws {
        guard recipe.base != .none else { return }
        var random = SeededGenerator(seed: UInt64(recipe.index) ^ 0xBA5E)
        var base = [UInt8](repeating: 0, count: max(512, (recipe.size & ~511) + 512 * (random.below(600) - 300)))
        for _ in 0..<5 {
            let start = random.below(base.count)
            for place in start..<min(base.count, start + random.below(600_000)) {
                base[place] = UInt8(truncatingIfNeeded: place >> 3 ^ place >> 11)
            }
        }
        folder.write(base, to: "base.raw")
        try workshop.img.succeed(["convert", "-f", "raw", "-O", "qcow2", "base.raw", "base.qcow2"], in: folder)
    }

    /// `qemu-img info` shows the options that were asked for.
    private func checkInfo(_ recipe: WriteRecipe, _ workshop: Workshop) throws {
        let output = try workshop.img.succeed(["info", "--output=json", "-f", "qcow2", "out.qcow2"], in: folder).output
        let info = try #require(JSONSerialization.jsonObject(with: output) as? [String: Any])
        let specific = try #require((info["format-specific"] as? [String: Any])?["data"] as? [String: Any])
        #expect(info["virtual-size"] as? Int == (recipe.size + 511) / 512 * 512)
        #expect(info["cluster-size"] as? Int == 1 << recipe.clusterBits)
        #expect(info["dirty-flag"] as? Bool == false)
        #expect(info["backing-filename"] as? String == (recipe.base == .none ? nil : "base.\(recipe.base)"))
        #expect(info["backing-filename-format"] as? String == (recipe.base == .none ? nil : recipe.base.rawValue))
        #expect(specific["compat"] as? String == (recipe.version == 2 ? "0.10" : "1.1"))
        #expect(specific["refcount-bits"] as? Int == recipe.refcountBits)
        if recipe.version == 3 {
            #expect(specific["compression-type"] as? String == (recipe.compression == .zstd ? "zstd" : "zlib"))
            #expect(specific["lazy-refcounts"] as? Bool == recipe.lazyRefcounts)
            #expect(specific["extended-l2"] as? Bool == recipe.extendedL2)
            #expect(specific["corrupt"] as? Bool == false)
        }
        #expect(specific["data-file"] as? String == (recipe.dataFile == .none ? nil : "out.data"))
        if recipe.dataFile != .none { #expect(specific["data-file-raw"] as? Bool == (recipe.dataFile == .raw)) }
    }

    /// The length is what `measure` said, or less where the data is compressed or compared with a disk below.
    private func checkMeasure(_ recipe: WriteRecipe, _ reimage: Program) throws {
        guard !recipe.storesZeros else { return }
        let flags = recipe.arguments(dataFileName: "out.data")
        let output = try reimage.succeed(["measure", "-q", "--json"] + flags + ["in.raw"], in: folder).output
        let measure = try #require(JSONSerialization.jsonObject(with: output) as? [String: Any])
        let required = try #require(measure["required"] as? Int)
        let most = try #require(measure["fully-allocated"] as? Int)
        let length = try #require(folder.read("out.qcow2")).count
        if recipe.compression == .none && recipe.base == .none {
            #expect(length == required)
        } else {
            #expect(length <= required)
        }
        #expect(required <= most)
    }

    private func checkOtherThreadCounts(_ recipe: WriteRecipe, _ reimage: Program, _ arguments: [String]) throws {
        let expected = folder.read("out.qcow2")
        let data = recipe.dataFile == .none ? [] : folder.read("out.data")
        for threads in ["1", "8"] {
            try reimage.succeed(arguments + ["--force", "-j", threads, "in.raw", "out.qcow2"], in: folder)
            #expect(folder.read("out.qcow2") == expected, "\(threads) threads give other bytes")
            if recipe.dataFile != .none { #expect(folder.read("out.data") == data) }
        }
    }
}
