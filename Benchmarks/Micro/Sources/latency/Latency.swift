import Reimage
import ReimageCore
import ReimageTesting

#if canImport(Glibc)
    import Glibc
#endif

/// `latency IMAGE COUNT` opens the image COUNT times, reads 4 KiB at a random place that holds data, and prints how long
/// that took, each time with nothing of the file in the page cache.
@main
enum Latency {
    static func main() throws {
        let words = CommandLine.arguments
        guard words.count == 3, let count = Int(words[2]), count > 0 else {
            print("usage: latency IMAGE COUNT")
            exit(64)
        }
        let path = words[1]
        let places = try places(on: path, count: count)
        var opened: [Double] = []
        var read: [Double] = []
        var buffer = AlignedBuffer(byteCount: 4096)
        for place in places {
            forget(path)
            let begin = ContinuousClock.now
            let disk = try ImageOpener().open(path).disk(for: "a measurement")
            let cursor = try disk.makeCursor()
            let middle = ContinuousClock.now
            try buffer.withMutableBytes { (bytes) throws(ImageError) in try cursor.read(into: &bytes, at: place) }
            opened.append((middle - begin) / .milliseconds(1))
            read.append((ContinuousClock.now - middle) / .milliseconds(1))
        }
        print("open", summary(opened), "\nread", summary(read))
    }

    private static func places(on path: String, count: Int) throws -> [GuestOffset] {
        let disk = try ImageOpener().open(path).disk(for: "a measurement")
        var random = SeededGenerator(seed: 1)
        var places: [GuestOffset] = []
        while places.count < count {
            let place = GuestOffset(UInt64.random(in: 0..<disk.byteCount / 4096, using: &random) * 4096)
            let extent = try disk.extent(at: place, limit: 4096)
            if extent.kind == .data, extent.count == 4096 { places.append(place) }
        }
        return places
    }

    /// Drops the file from the page cache, of which nothing may be dirty.
    private static func forget(_ path: String) {
        let file = unsafe open(path, O_RDONLY)
        guard file >= 0 else { return }
        #if canImport(Glibc)
            _ = posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        #endif
        close(file)
    }

    private static func summary(_ times: [Double]) -> String {
        let sorted = times.sorted()
        func text(_ share: Double) -> String {
            let hundredths = Int((sorted[Int(Double(sorted.count - 1) * share)] * 100).rounded())
            return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
        }
        return "median \(text(0.5)) ms, 99 % within \(text(0.99)) ms, \(times.count) times"
    }
}
