/// Threads that work on one thing together; the libraries that know no threads are lent them.
public struct WorkThreads: Sendable {
    /// What each thread runs, with its number.
    public typealias Body = @Sendable (Int) throws(ImageError) -> Void

    /// How many.
    public let count: Int
    private let fitting: @Sendable (Int) -> Int
    private let start: @Sendable (Int, @escaping Body) throws(ImageError) -> Void

    /// - Parameters:
    ///   - fitting: of how many threads each can decode so many bytes at once; as many as there are where not given.
    ///   - start: runs a body on as many threads and returns when all have ended, with the first error.
    public init(
        count: Int, fitting: @escaping @Sendable (_ unit: Int) -> Int = { _ in .max },
        _ start: @escaping @Sendable (Int, @escaping Body) throws(ImageError) -> Void
    ) {
        self.count = max(1, count)
        self.fitting = fitting
        self.start = start
    }

    /// Those of the threads that can decode `unit` bytes at once each: not all, where that is much.
    public func decoding(_ unit: Int) -> WorkThreads {
        WorkThreads(count: min(count, fitting(unit)), fitting: fitting, start)
    }

    /// The caller's thread alone.
    public static let single = WorkThreads(count: 1) { (_, body) throws(ImageError) in try body(0) }

    /// Runs `body` on every thread, and returns when all have ended.
    /// - Throws: the error that came first.
    public func run(_ body: @escaping Body) throws(ImageError) { try start(count, body) }
}

/// How thoroughly an image is verified.
public enum VerifyDepth: String, Sendable, Hashable, CaseIterable {
    /// The checksums of what is stored, without decoding it.
    case stored
    /// Every byte of the disk, by its hash.
    case full
    /// The same, and the index is made anew and compared with the one in the file.
    case deep
}

/// What a verification is to do, and with what.
public struct VerifyRequest: Sendable {
    public var depth: VerifyDepth
    public var threads: WorkThreads
    /// Told how many stored bytes there are to go through, and each time how many more were.
    public var begin: @Sendable (UInt64) -> Void
    public var advance: @Sendable (UInt64) -> Void

    public init(
        _ depth: VerifyDepth = .full, threads: WorkThreads = .single,
        begin: @escaping @Sendable (UInt64) -> Void = { _ in },
        advance: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
        self.depth = depth
        self.threads = threads
        self.begin = begin
        self.advance = advance
    }
}

/// What a verification found.
public struct VerifySummary: Sendable, Hashable {
    /// The disk's length in bytes.
    public var byteCount: UInt64
    /// The parts of the disk whose bytes are missing, or are not those that they should be.
    public var lost = GuestRanges()
    /// The parts that the source could not give when the image was made.
    public var unreadable = GuestRanges()
    /// The 32 bytes of the disk's content digest; `nil` where some of its bytes could not be proved.
    public var digest: [UInt8]?
    /// Whether the digest is what the image claims: its bytes were not decoded.
    public var digestIsClaim = false
    /// Whether the image is what was left of a damaged one: its digest is then no disk's.
    public var isPartial = false
    /// The findings, counted.
    public var check = CheckSummary()

    public init(byteCount: UInt64) { self.byteCount = byteCount }

    /// Whether nothing is wrong with the image.
    public var isClean: Bool { check.isClean && lost.isEmpty }
}
