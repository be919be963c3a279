public import ReimageCore

/// The tests that every format must pass, for its author to run against samples.
///
/// ```swift
/// let sample = FormatConformance.Sample("two clusters", image: imageBytes, guest: guestBytes)
/// try FormatConformance(MyFormat()).run(sample)
/// ```
/// Each check throws a ``Failure`` that says what is wrong and where; nothing is printed. Everything random is seeded.
public struct FormatConformance: Sendable {
    /// A check that was not passed.
    public struct Failure: Error, Hashable, CustomStringConvertible {
        /// The rule that was broken, where, and by which sample.
        public let description: String
    }

    /// An image, and what is known about it.
    public struct Sample: Sendable {
        /// The name, for messages.
        public var name: String
        /// The image's own bytes.
        public var image: [UInt8]
        /// The guest's bytes that it holds.
        public var guest: [UInt8]
        /// What the format needs to open it, for instance a resolver of its backing file.
        public var context: OpenContext
        /// Whether the format recognises it by its bytes; not so for raw.
        public var isRecognised = true
        /// Whether an image that is cut short is a valid image of a shorter disk; so for raw.
        public var cutGivesShorterDisk = false
        /// Lengths to which the image can be cut and still be read in full; other cuts must be noticed.
        public var harmlessCuts: Range<Int>

        /// A sample; by default no cut of it goes unnoticed unless all guest bytes can still be read.
        public init(_ name: String, image: [UInt8], guest: [UInt8], context: OpenContext = OpenContext()) {
            self.name = name
            self.image = image
            self.guest = guest
            self.context = context
            harmlessCuts = 0..<0
        }
    }

    /// The format under test.
    public let format: any ImageFormat
    /// Where the random numbers of all checks start.
    public let seed: UInt64

    public init(_ format: any ImageFormat, seed: UInt64 = 1) {
        self.format = format
        self.seed = seed
    }

    /// Runs every check of reading against `sample`.
    ///
    /// A sample that opens as a stream is read as one; the checks of extents, cursors and threads are for disks.
    public func run(_ sample: Sample) throws {
        try checkProbe(sample)
        switch try content(of: sample) {
        case .random(let disk):
            try checkExtents(of: disk, sample)
            try checkReads(of: disk, sample)
            try checkThreads(on: disk, sample)
        case .stream: try checkStream(sample)
        }
        try checkFaults(sample)
        try checkCuts(sample)
    }

    /// The format recognises the sample, and does not recognise noise, nothing, or its own first bytes alone.
    public func checkProbe(_ sample: Sample) throws {
        let found = probe(sample.image)
        try check((found != .no) == sample.isRecognised, "probe says \(found)", sample)
        var random = SeededGenerator(seed: seed)
        for count in [0, 1, 2, 3, 4, 7, 8, 511, 512, 513, 4095, 4096, 65536] {
            let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            try check(probe(noise) == .no, "probe recognises \(count) bytes of noise", sample)
            let zeros = [UInt8](repeating: 0, count: count)
            try check(probe(zeros) == .no, "probe recognises \(count) zeros", sample)
        }
        for count in 0..<min(4, sample.image.count) {
            let start = Array(sample.image.prefix(count))
            try check(probe(start) == .no, "probe recognises the first \(count) bytes alone", sample)
        }
    }

    private func probe(_ bytes: [UInt8]) -> ProbeResult {
        let count = min(bytes.count, FormatRegistry.probeByteCount)
        return Array(bytes.prefix(count)).withBytes { head in
            Array(bytes.suffix(count)).withBytes { tail in
                format.probe(head: head, tail: tail, byteCount: UInt64(bytes.count))
            }
        }
    }

    // MARK: What the checks share

    func content(of sample: Sample, in store: (any ByteStore)? = nil) throws(ImageError) -> DiskContent {
        let store = store ?? MemoryStore(sample.image, name: sample.name)
        return try format.open(ImageSource(store: store), sample.context).content()
    }

    func check(_ isTrue: Bool, _ rule: @autoclosure () -> String, _ sample: Sample) throws(Failure) {
        if !isTrue { throw failure(rule(), sample) }
    }

    func failure(_ rule: String, _ sample: Sample) -> Failure {
        Failure(description: "\(format.name), sample '\(sample.name)': \(rule)")
    }

    func compare(
        _ found: [UInt8], _ expected: ArraySlice<UInt8>, _ what: @autoclosure () -> String, _ sample: Sample
    ) throws(Failure) {
        guard !found.isSame(as: expected) else { return }
        guard found.count == expected.count else {
            throw failure("\(what()): \(found.count) bytes instead of \(expected.count)", sample)
        }
        let place = zip(found, expected).enumerated().first { $0.element.0 != $0.element.1 }
        throw failure(
            "\(what()): wrong from byte \(place?.offset ?? 0) on "
                + "(\(place?.element.0 ?? 0) instead of \(place?.element.1 ?? 0))", sample)
    }
}
