public import ReimageCore

/// What is changed in a disk's image while it is put onto another disk.
public struct FixUpOptions: Sendable {
    /// Changes nothing: the target becomes the exact copy of the image.
    public var isOff: Bool
    /// Gives the disk and its partitions new ids, so that the copy and the original can be used side by side.
    public var newIDs: Bool
    /// Enlarges the last partition's entry up to the end of the target.
    public var growLast: Bool
    /// The target's path, for the commands in the advice.
    public var targetPath: String?
    /// Gives random bits for new ids.
    public var random: @Sendable () -> UInt64
    /// Ends the search for data that would not fit a smaller target.
    public var cancellation: Cancellation

    public init(
        isOff: Bool = false, newIDs: Bool = false, growLast: Bool = false, targetPath: String? = nil,
        cancellation: Cancellation = Cancellation(),
        random: @escaping @Sendable () -> UInt64 = { .random(in: 0 ... .max) }
    ) {
        self.isOff = isOff
        self.newIDs = newIDs
        self.growLast = growLast
        self.targetPath = targetPath
        self.cancellation = cancellation
        self.random = random
    }
}
