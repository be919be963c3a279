/// A value of an image's description: what JSON can say.
public enum InfoValue: Hashable, Sendable {
    case text(String)
    case number(UInt64)
    /// A share, in hundredths of a percent.
    case hundredths(UInt64)
    case flag(Bool)
    case list([InfoValue])
    case fields([InfoField])
}

extension InfoValue {
    /// How much of `whole` is `part`, which is at most all of it; 0 of nothing.
    public static func percent(_ part: UInt64, of whole: UInt64) -> InfoValue {
        guard whole > 0 else { return .hundredths(0) }
        return .hundredths(whole.dividingFullWidth(min(part, whole).multipliedFullWidth(by: 10_000)).quotient)
    }
}

/// A named value.
public struct InfoField: Hashable, Sendable {
    /// The name, as users of `qemu-img info --output=json` know it where that has it.
    public var name: String
    /// The value.
    public var value: InfoValue

    public init(_ name: String, _ value: InfoValue) {
        self.name = name
        self.value = value
    }
}

/// What an image says of itself.
public struct ImageInfo: Sendable {
    /// An internal snapshot.
    public struct Snapshot: Sendable, Hashable {
        public var id: String
        public var name: String
        /// The size of the saved machine state in bytes.
        public var vmStateSize: UInt64
        /// When it was taken: seconds since 1970, and nanoseconds.
        public var dateSeconds: UInt32
        public var dateNanoseconds: UInt32
        /// How long the guest had run, in nanoseconds.
        public var vmClockNanoseconds: UInt64
        /// The disk's size when it was taken, where that is known.
        public var byteCount: UInt64?
        /// The instruction count of a recorded run.
        public var instructionCount: UInt64?

        public init(
            id: String, name: String, vmStateSize: UInt64, dateSeconds: UInt32, dateNanoseconds: UInt32,
            vmClockNanoseconds: UInt64, byteCount: UInt64?, instructionCount: UInt64?
        ) {
            self.id = id
            self.name = name
            self.vmStateSize = vmStateSize
            self.dateSeconds = dateSeconds
            self.dateNanoseconds = dateNanoseconds
            self.vmClockNanoseconds = vmClockNanoseconds
            self.byteCount = byteCount
            self.instructionCount = instructionCount
        }
    }

    /// The guest's bytes; `nil` for a stream that does not tell.
    public var virtualSize: UInt64?
    /// The unit of allocation in bytes, where the format has one.
    public var clusterSize: UInt64?
    /// The image below, as named in the file.
    public var backing: Reference?
    /// What tells the image from all others, where the format has such a number.
    public var uniqueID: [UInt8]?
    /// Whether the image was not closed cleanly.
    public var isDirty: Bool
    /// Whether guest bytes are encrypted.
    public var isEncrypted: Bool
    /// The internal snapshots.
    public var snapshots: [Snapshot]
    /// What only this format has.
    public var specific: [InfoField]
    /// Sentences the user should read: flags that mean trouble, sizes that others see differently.
    public var remarks: [String]

    public init(
        virtualSize: UInt64?, clusterSize: UInt64? = nil, backing: Reference? = nil, uniqueID: [UInt8]? = nil,
        isDirty: Bool = false, isEncrypted: Bool = false, snapshots: [Snapshot] = [], specific: [InfoField] = [],
        remarks: [String] = []
    ) {
        self.virtualSize = virtualSize
        self.clusterSize = clusterSize
        self.backing = backing
        self.uniqueID = uniqueID
        self.isDirty = isDirty
        self.isEncrypted = isEncrypted
        self.snapshots = snapshots
        self.specific = specific
        self.remarks = remarks
    }
}

extension InfoValue: Encodable {
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .fields(let fields):
            var container = encoder.container(keyedBy: FieldKey.self)
            for field in fields { try container.encode(field.value, forKey: FieldKey(stringValue: field.name)) }
        case .text(let text): try Self.encode(text, to: encoder)
        case .number(let number): try Self.encode(number, to: encoder)
        case .hundredths(let count): try Self.encode(Double(count) / 100, to: encoder)
        case .flag(let flag): try Self.encode(flag, to: encoder)
        case .list(let list): try Self.encode(list, to: encoder)
        }
    }

    private static func encode(_ value: some Encodable, to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}

/// A field's name where an encoder wants a key.
public struct FieldKey: CodingKey {
    public let stringValue: String
    public var intValue: Int? { nil }
    public init(stringValue: String) { self.stringValue = stringValue }
    public init?(intValue: Int) { nil }
}
