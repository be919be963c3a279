internal import ReimageCodecs
internal import ReimageCore

/// An open archive.
final class ArchiveImage: DiskImage {
    let format: FormatName = ArchiveFormat.formatName

    private let store: any ByteStore
    /// The header at the start, where the index could not be read.
    private let header: FileHeader
    private let disk: Result<ArchiveDisk, ImageError>
    private let remarks: [String]

    init(_ source: ImageSource, note: @Sendable (Note) -> Void) throws(ImageError) {
        let store = try source.randomAccess(for: ArchiveFormat.formatName)
        let first = try Self.header(store)
        let found: Result<ArchiveIndex, ImageError> = Result { () throws(ImageError) in
            try ArchiveIndex(store, header: first)
        }
        self.store = store
        switch (found, first) {
        case (.success(let index), _):
            header = index.header
            disk = .success(ArchiveDisk(store, index))
            remarks = index.remarks
        case (.failure(let error), .success(let header)) where error.code == .damaged:
            self.header = header
            disk = .failure(Self.incomplete(error).inFile(store.name))
            remarks = ["The archive has no valid end: its making was interrupted, or it was cut short or damaged."]
        case (.failure(let error), .success): throw error
        case (.failure, .failure(let error)): throw error
        }
        for remark in remarks { note(Note(remark)) }
    }

    /// The header at the start of `store`, or what is wrong with it where the copy can stand in.
    /// - Throws: `.unsupported` for what 1.0 does not have; `.unreadable` on an I/O error.
    static func header(_ store: any ByteStore) throws(ImageError) -> Result<FileHeader, ImageError> {
        let count = Int(min(store.byteCount, UInt64(FileHeader.byteCount)))
        let bytes = try store.bytes(at: .zero, count: count)
        do {
            return .success(
                try bytes.withBytes { (bytes) throws(ImageError) in try FileHeader(decoding: bytes, at: .zero) })
        } catch {
            guard error.code == .damaged else { throw error }
            return .failure(error)
        }
    }

    private static func incomplete(_ error: ImageError) -> ImageError {
        ImageError(
            .damaged, "the archive cannot be read by its index: \(error.message)", at: error.place,
            advice: "Was its making interrupted, or was it cut short? " + partialAdvice)
    }

    /// What to do where a part of an archive cannot be read.
    static let partialAdvice =
        "Pass --partial to read what is left of it, or mend it into a new file: reimage repair."

    func content() throws(ImageError) -> DiskContent { .random(try disk.get()) }

    var isPartial: Bool {
        guard case .success(let disk) = disk else { return true }
        return !disk.index.footer.flags.contains(.complete)
    }

    func info() throws(ImageError) -> ImageInfo {
        switch disk {
        case .success(let disk): return try disk.index.info(store, remarks: remarks)
        case .failure:
            let reach = try ArchiveReach(store, header)
            return ImageInfo(
                virtualSize: header.diskByteCount, clusterSize: 1 << UInt64(header.chunkLog2),
                uniqueID: header.uniqueID, isDirty: true, specific: header.infoFields + reach.fields,
                remarks: remarks + [reach.remark(of: header.diskByteCount)])
        }
    }
}

extension ImageError {
    /// The same error; where it is damage without advice, with that to read what is left.
    var suggestingPartial: ImageError {
        guard code == .damaged, advice == nil else { return self }
        var error = self
        error.advice = ArchiveImage.partialAdvice
        return error
    }
}
