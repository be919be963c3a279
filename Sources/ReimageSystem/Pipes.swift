public import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Bytes that come from a pipe, socket or standard input.
public final class PipeSource: ByteStream {
    public var name: String { file.name }
    private let file: FileDescriptor
    private let cancellation: Cancellation?

    init(_ file: FileDescriptor, cancellation: Cancellation?) {
        self.file = file
        self.cancellation = cancellation
    }

    /// Standard input.
    ///
    /// - Parameter cancellation: looked at while no bytes come, so that a silent pipe does not hold up an end.
    public static func standardInput(cancellation: Cancellation? = nil) -> PipeSource {
        PipeSource(FileDescriptor(0, name: "standard input", isOwned: false), cancellation: cancellation)
    }

    public func read(into buffer: inout OutputRawSpan) throws(ImageError) {
        while buffer.freeCapacity > 0 {
            try waitForBytes()
            // SAFETY: read writes only into the free capacity, and the count says how much of it.
            let failure: Int32? = unsafe buffer.withUnsafeMutableBytes { bytes, filled in
                guard let base = bytes.baseAddress else { return nil }
                let count = retrying { unsafe systemRead(file.number, base + filled, bytes.count - filled) }
                if count < 0 { return errno }
                filled += count
                return count == 0 ? 0 : nil
            }
            switch failure {
            case nil, EAGAIN: continue
            case 0: return
            case let code?: throw .system(.unreadable, "reading failed", file: name, errno: code)
            }
        }
    }

    private func waitForBytes() throws(ImageError) {
        var request = pollfd(fd: file.number, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&request, 1, 100) <= 0 { try cancellation?.check() }
    }
}

/// A target that takes bytes in order only: a pipe, standard output, a character device.
public final class PipeSink: ByteSink {
    public var name: String { file.name }
    public let traits = StoreTraits(abilities: .appendOnly, alignment: 1)
    private let file: FileDescriptor
    private let position = Mutex<UInt64>(0)
    private static let zeros = [UInt8](repeating: 0, count: 64 << 10)

    init(_ file: FileDescriptor) { self.file = file }

    /// Standard output.
    public static func standardOutput() -> PipeSink {
        PipeSink(FileDescriptor(1, name: "standard output", isOwned: false))
    }

    /// Opens a FIFO or character device for writing.
    public convenience init(path: String) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_WRONLY) else {
            throw .system(.targetFailed, "cannot be opened for writing", file: path)
        }
        self.init(file)
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let expected = position.withLock { position in
            let before = position
            if before == offset.value { position += UInt64(bytes.byteCount) }
            return before
        }
        guard expected == offset.value else {
            throw ImageError(
                .targetFailed, "bytes for \(offset) came where those for \(expected) were due", file: name)
        }
        // SAFETY: write reads only inside the borrowed bytes.
        let failure: Int32 = unsafe bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                guard let base = bytes.baseAddress else { break }
                let count = retrying { unsafe systemWrite(file.number, base + done, bytes.count - done) }
                if count < 0 && errno == EAGAIN {
                    var request = pollfd(fd: file.number, events: Int16(POLLOUT), revents: 0)
                    _ = unsafe poll(&request, 1, 100)
                    continue
                }
                if count < 0 { return errno }
                done += count
            }
            return 0
        }
        guard failure == 0 else {
            throw .system(.targetFailed, "writing failed", file: name, errno: failure, at: .host(offset))
        }
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        var offset = range.start
        while offset < range.end {
            let count = min(range.end - offset, UInt64(Self.zeros.count))
            try Self.zeros.withBytes { (span) throws(ImageError) in
                try write(span.extracting(0..<Int(count)), at: offset)
            }
            offset += count
        }
    }

    public func setByteCount(_ count: UInt64) throws(ImageError) {
        let written = position.withLock { $0 }
        if written < count { try zero(HostRange(from: HostOffset(written), to: HostOffset(count)), mode: .written) }
    }

    public func sync() throws(ImageError) {}
}
