/// An open file whose blocks another file may share, by the number that the system gave it; valid as long as its store.
public struct BlockSource: Hashable, Sendable {
    /// The file's descriptor in this process.
    public let descriptor: Int32

    public init(descriptor: Int32) { self.descriptor = descriptor }
}

extension ByteStore {
    public var blockSource: BlockSource? { nil }
}

extension ByteSink {
    public func sharedBlockSize(with source: BlockSource) -> Int? { nil }

    public func shareBlocks(of source: BlockSource, _ range: HostRange, at offset: HostOffset) -> Bool { false }
}
