public import ReimageCore

/// A disk's GPT: the MBR before it, and what became of reading both copies.
public struct GPTTable: Sendable {
    /// The MBR that stands for the GPT.
    public let mbr: MBR
    public let sectorSize: Int
    /// The copy behind the MBR.
    public let primary: Result<GPT, ImageError>
    /// The copy at the end of the disk or, where there is none, at the place that the primary names.
    public let backup: Result<GPT, ImageError>
    /// The copy that counts: the primary one where it can be read.
    public let gpt: GPT
    /// Everything that is wrong with the table; its partitions stand all the same.
    public let problems: [ImageError]

    /// Reads the GPT of `store`.
    /// - Throws: `.damaged` where neither copy can be read.
    init(_ mbr: MBR, of store: any ByteStore, sectorSize: Int) throws(ImageError) {
        self.mbr = mbr
        self.sectorSize = sectorSize
        let sectors = store.byteCount / UInt64(sectorSize)
        let primary = Result { () throws(ImageError) in try GPT(at: 1, of: store, sectorSize: sectorSize) }
        let last = max(sectors, 1) - 1
        var backup = Result { () throws(ImageError) in try GPT(at: last, of: store, sectorSize: sectorSize) }
        if case .failure(let atEnd) = backup, case .success(let gpt) = primary, gpt.header.otherLBA != last,
            gpt.header.otherLBA > 1
        {
            // The disk was cut or enlarged after it was partitioned.
            backup = Result { () throws(ImageError) in
                try GPT(at: gpt.header.otherLBA, of: store, sectorSize: sectorSize)
            }
            if case .failure = backup { backup = .failure(atEnd) }
        }
        self.primary = primary
        self.backup = backup
        var problems: [ImageError] = []
        switch (primary, backup) {
        case (.success(let first), .success(let second)):
            gpt = first
            if !first.agrees(with: second) {
                problems.append(
                    ImageError(.damaged, "the two copies of the GPT differ; the first one counts", at: Self.start))
            }
        case (.success(let first), .failure(let error)):
            gpt = first
            problems.append(error.prefixed("the backup of the GPT cannot be used: "))
        case (.failure(let error), .success(let second)):
            gpt = second
            problems.append(error.prefixed("the GPT is read from its backup, since "))
        case (.failure(let first), .failure(let second)):
            throw ImageError(
                .damaged, "neither copy of the GPT can be used: \(first.message); \(second.message)",
                at: Self.start, file: first.file, advice: "Tools such as 'gdisk' can try to rebuild it.")
        }
        self.problems = problems + gpt.problems(sectorCount: sectors)
    }

    private static let start = ImageError.Place.guest(.zero)
}

extension ImageError {
    fileprivate func prefixed(_ words: String) -> ImageError {
        var error = self
        error.message = words + message
        return error
    }
}
