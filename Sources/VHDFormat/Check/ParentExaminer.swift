internal import ReimageCore

/// Looks whether a differencing image names a parent, and whether the file that is found is the one.
struct ParentExaminer {
    let image: CheckedImage
    let sparse: CheckedImage.Sparse
    let source: ImageSource
    let context: OpenContext
    let log: FindingLog

    func run() throws(ImageError) {
        let idPlace = sparse.place + UInt64(DynamicHeader.Field.parentID)
        let names = try ParentNames(image.store, sparse.header)
        if names.stored.contains(where: { $0.unicodeScalars.contains("\u{FFFD}") }) {
            log.found(
                .remark, "a name of the parent is no proper text",
                at: sparse.place + UInt64(DynamicHeader.Field.parentName))
        }
        guard sparse.header.parentID != image.footer.uniqueID else {
            return log.found(.corruption, "the image names itself as its parent", at: idPlace)
        }
        guard let first = names.paths.first else {
            return log.found(
                .corruption, "the image needs a parent, and names none",
                at: sparse.place + UInt64(DynamicHeader.Field.parentName))
        }
        guard context.opensReferences, let resolver = context.references else { return }
        let reference = Reference(
            role: Parent.role, name: first, format: "vhd", otherNames: Array(names.paths.dropFirst()))
        let wanted = sparse.header.parentID
        var other: String?
        do throws(ImageError) {
            let parent = try resolver.openImage(reference, of: source) { (parent) throws(ImageError) in
                let id = try parent.info().uniqueID
                guard id != wanted, !image.options.ignoresParentID else { return }
                other = id.map(uniqueIDText) ?? "none"
                throw ImageError(.refused, "another image")
            }
            _ = try parent.content()
        } catch {
            guard error.code != .cancelled else { throw error }
            if let other {
                log.found(
                    .corruption,
                    "the file found for the parent '\(first)' is another image: its id is \(other), and "
                        + "\(uniqueIDText(wanted)) is wanted", at: idPlace)
            } else {
                log.found(.remark, "the parent '\(first)' could not be examined: \(error.message)", at: idPlace)
                log.measure { $0.checkErrors += 1 }
            }
        }
    }
}
