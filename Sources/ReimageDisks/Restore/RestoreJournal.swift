public import ReimageCodecs
public import ReimageCore
internal import ReimageSystem

/// What a restore writes down before and while it changes a disk: the old ends and tables, so that they can be put
/// back, and how far it is, so that it can be taken up again.
///
/// Records are only ever appended; each is on the medium before what it allows is done. Safe from any thread.
public final class RestoreJournal: Sendable {
    /// What is known of the device and the image, by name.
    public struct Facts: Sendable, Hashable {
        public var values: [String: String]
        public init(_ values: [String: String] = [:]) { self.values = values }

        public subscript(name: String) -> String? {
            get { values[name] }
            set { values[name] = newValue }
        }
    }

    /// How far a restore was, as its journal says; it has still to be proved.
    public struct Progress: Sendable, Hashable {
        /// The unit of ``nodes`` in bytes.
        public internal(set) var unit: UInt64 = 0
        /// What each finished unit must read as, by its number; the ends of the target are not written yet.
        public internal(set) var nodes: [UInt64: Hash256] = [:]
    }

    private let store: any UpdatableStore
    private let end: Monitor<HostOffset>

    /// The name of the file.
    public var name: String { store.name }

    /// Begins a journal in the empty `store`.
    public init(_ store: any UpdatableStore, _ facts: Facts) throws(ImageError) {
        self.store = store
        end = Monitor(.zero)
        try append(JournalRecord(.facts, facts.bytes))
    }

    /// Goes on with the journal that `contents` were read from; what a crash left half written behind them is cut off.
    public init(_ store: any UpdatableStore, after contents: Contents) throws(ImageError) {
        self.store = store
        end = Monitor(contents.end)
        try store.setByteCount(contents.end.value)
    }

    /// Keeps what `medium` holds in `ranges`, and returns once it is safe.
    /// - Throws: `.targetFailed` where it cannot be kept.
    public func save(_ ranges: [HostRange], of medium: any ByteStore) throws(ImageError) {
        for range in ranges {
            var position = range.start
            while position < range.end {
                let count = Int(min(range.end - position, UInt64(1 << 20)))
                var payload = [UInt8](repeating: 0, count: 8)
                payload.withMutableBytes { $0.storeLittle(position.value, at: 0) }
                do throws(ImageError) {
                    payload += try medium.bytes(at: position, count: count)
                } catch {
                    throw ImageError(
                        .targetFailed, "what is there cannot be read, so it could not be put back: \(error.message)",
                        at: error.place, file: medium.name,
                        advice: "The disk may be failing; --no-journal goes on without a way back.")
                }
                try append(JournalRecord(.saved, payload))
                position += UInt64(count)
            }
        }
        try append(JournalRecord(.sealed))
        try store.sync()
    }

    /// Writes down that the units from number `first` on are on the medium, and what they read as.
    func note(_ nodes: [Hash256], from first: UInt64, unit: UInt64) throws(ImageError) {
        var payload = [UInt8](repeating: 0, count: 16 + nodes.count * Hash256.byteCount)
        payload.withMutableBytes { payload in
            payload.storeLittle(first, at: 0)
            payload.storeLittle(unit, at: 8)
            for (index, node) in nodes.enumerated() { node.store(in: &payload, at: 16 + index * Hash256.byteCount) }
        }
        try append(JournalRecord(.done, payload))
        try store.sync()
    }

    /// Writes down that the restore is complete.
    func finish() throws(ImageError) {
        try append(JournalRecord(.finished))
        try store.sync()
    }

    private func append(_ record: JournalRecord) throws(ImageError) {
        try end.withLock { (end) throws(ImageError) in
            try record.bytes.withBytes { (bytes) throws(ImageError) in try store.write(bytes, at: end) }
            end += record.byteCount
        }
    }
}

extension RestoreJournal.Facts {
    /// One `name=value` a line; what would break a line is written as `%XX`.
    var bytes: [UInt8] {
        let lines = values.sorted { $0.key < $1.key }.map { "\($0.key)=\(Self.escaped($0.value))\n" }
        return Array(lines.joined().utf8)
    }

    init(decoding bytes: [UInt8]) {
        values = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { values[String(parts[0])] = Self.unescaped(parts[1]) }
        }
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            if byte < 0x20 || byte == 0x25 || byte >= 0x7F {
                result += "%" + hex([byte])
            } else {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            }
        }
    }

    private static func unescaped(_ text: Substring) -> String {
        var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            if byte == 0x25, rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
