internal import ReimageCore
internal import ReimageSystem

/// On how many threads a copy works, and what memory that takes.
///
/// A thread has one batch in hand, and the next one only when that was placed: so no more chunks are in memory than
/// threads, or a batch of shorter ones each. Short memory lowers the number of threads, and never changes a byte.
public struct WorkerMemory: Sendable, Hashable {
    /// How many threads work.
    public let threadCount: Int
    /// How many would, were there memory for them.
    public let wantedThreadCount: Int
    /// What each takes at the most, in bytes: its batch, what becomes of it, the encoder's tables, and what decoding takes
    /// of a source of large chunks.
    public let byteCountPerThread: UInt64
    /// What there was to take, in bytes; `nil` where that was not asked, since little is needed, or is not known.
    public let availableByteCount: UInt64?

    /// Above this, a thread's memory is not taken for granted.
    private static let little: UInt64 = 32 << 20
    /// Above this, what is decoded at once counts.
    private static let largeUnit = 2 << 20
    /// What a copy takes besides, for tables and the program itself.
    private static let base: UInt64 = 32 << 20

    /// - Parameter readUnit: what the source decodes at once; it holds what is stored of that, and a table as long.
    init(_ needs: WriterNeeds, batchSize: Int, readUnit: Int = 0, _ options: JobOptions) {
        let encoded = needs.encodedBound * (batchSize / needs.chunkSize)
        self.init(
            byteCountPerThread: UInt64(batchSize + encoded + needs.encoderByteCount + Self.decoder(of: readUnit)),
            isSlow: readUnit > Self.largeUnit || UInt64(needs.encoderByteCount) > Self.little, options)
    }

    /// Of threads that only read.
    /// - Parameter unit: what each decodes at once, in bytes.
    public init(decoding unit: Int, _ options: JobOptions) {
        self.init(byteCountPerThread: UInt64(unit + Self.decoder(of: unit)), isSlow: unit > Self.largeUnit, options)
    }

    /// What is held while `unit` bytes are decoded, beside them.
    private static func decoder(of unit: Int) -> Int { unit > largeUnit ? 2 * unit : 0 }

    /// - Parameter isSlow: whether a thread computes for long. Threads beyond the processors fill the time in which others
    ///   wait for the disk; encoders with large tables, and decoders of large chunks, take far longer than that, and slow
    ///   each other down.
    private init(byteCountPerThread: UInt64, isSlow: Bool, _ options: JobOptions) {
        self.byteCountPerThread = byteCountPerThread
        wantedThreadCount = isSlow ? min(options.threadCount, processorCount()) : options.threadCount
        guard byteCountPerThread > Self.little else {
            (threadCount, availableByteCount) = (wantedThreadCount, nil)
            return
        }
        availableByteCount = options.availableByteCount ?? AvailableMemory.system.byteCount
        guard let available = availableByteCount else {
            threadCount = wantedThreadCount
            return
        }
        let fitting = (available - min(available, Self.base)) / byteCountPerThread
        threadCount = max(1, Int(min(UInt64(wantedThreadCount), fitting)))
    }

    /// What all threads take together, in bytes.
    public var byteCount: UInt64 { Self.base + byteCountPerThread * UInt64(threadCount) }

    /// What the user should know of it, for a target that is made with `choice`; `nil` where it is little.
    public func remark(on choice: String) -> String? {
        guard byteCountPerThread > Self.little else { return nil }
        func threads(_ count: Int) -> String { count == 1 ? "one thread" : "\(count) threads" }
        func mebibytes(_ count: UInt64) -> String { "\(count.dividedRoundingUp(by: 1 << 20)) MiB" }
        let need = "\(choice) takes up to \(mebibytes(byteCount)) of memory on \(threads(threadCount))"
        guard let available = availableByteCount else { return need + "." }
        if byteCount > available {
            return need + ", and only \(mebibytes(available)) are available: it goes on, but may not come to its end."
        }
        guard threadCount < wantedThreadCount else { return need + "." }
        return need + "; \(mebibytes(available)) are available, too little for \(threads(wantedThreadCount))."
    }
}
