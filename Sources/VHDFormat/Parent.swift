internal import ReimageCore

/// Finds and opens the parent of a differencing image.
struct Parent {
    static let role = "parent"
    /// How many seconds apart two time stamps of the same moment may be: file systems of the time kept every other one.
    private static let tolerance: Int64 = 2

    let source: ImageSource
    let store: any ByteStore
    let footer: Footer
    let header: DynamicHeader
    let headerPlace: HostOffset
    let names: ParentNames
    let options: ReaderOptions
    let context: OpenContext

    /// The parent's disk.
    /// - Throws: `.damaged` where the image names none, or itself; `.refused` where another image was found, and where
    ///   references are not allowed; what the resolver and the parent throw.
    func disk() throws(ImageError) -> any BlockDevice {
        let reference = try reference()
        guard context.opensReferences else {
            throw refusal("the image was opened without the \(Self.role) '\(reference.name)' that it needs")
        }
        guard let resolver = context.references else {
            throw refusal("the image needs the \(Self.role) '\(reference.name)', and references are not allowed")
        }
        let image = try resolver.openImage(reference, of: source) { (image) throws(ImageError) in
            try accept(image, reference)
        }
        guard case .random(let device) = try image.content() else {
            throw refusal("the \(Self.role) '\(reference.name)' can only be read front to back")
        }
        let info = try image.info()
        if info.uniqueID != header.parentID {
            note(
                "its parent '\(reference.name)' has the id \(idText(info)), and the image wants "
                    + "\(uniqueIDText(header.parentID)); it was taken all the same")
        }
        compareTimes(info, device)
        return device
    }

    private func reference() throws(ImageError) -> Reference {
        guard header.parentID != footer.uniqueID else {
            throw .damaged(
                "the image names itself as its parent (\(uniqueIDText(footer.uniqueID)))",
                at: headerPlace + UInt64(DynamicHeader.Field.parentID))
        }
        guard let first = names.paths.first else {
            throw .damaged(
                "the image needs a parent, and names none",
                at: headerPlace + UInt64(DynamicHeader.Field.parentName))
        }
        return Reference(role: Self.role, name: first, format: "vhd", otherNames: Array(names.paths.dropFirst()))
    }

    /// Whether `image` is the one that is meant.
    private func accept(_ image: any DiskImage, _ reference: Reference) throws(ImageError) {
        guard !options.ignoresParentID else { return }
        let info = try image.info()
        guard info.uniqueID == header.parentID else {
            throw ImageError(
                .refused,
                "the file found for its parent '\(reference.name)' is another image: its id is \(idText(info)), and "
                    + "\(uniqueIDText(header.parentID)) is wanted", file: store.name,
                advice: "Pass --parent-dir with the directory of the right one, or --ignore-parent-id if it is right.")
        }
    }

    /// Says so where the parent seems to have been changed after the image was made of it.
    private func compareTimes(_ info: ImageInfo, _ device: any BlockDevice) {
        guard header.parentTimeStamp != 0 else { return }
        let wanted = Footer.epoch + Int64(header.parentTimeStamp)
        var times: [Int64] = []
        if let time = device.stores.first?.modificationSeconds { times.append(time) }
        for field in info.specific where field.name == InfoName.timeStamp {
            if case .number(let seconds) = field.value { times.append(Int64(clamping: seconds)) }
        }
        guard !times.isEmpty, !times.contains(where: { $0.distance(to: wanted).magnitude <= Self.tolerance.magnitude })
        else { return }
        note(
            "its parent was changed at another time than the image has noted; if a guest wrote to it, the disk is not "
                + "what it was")
    }

    private func idText(_ info: ImageInfo) -> String { info.uniqueID.map(uniqueIDText) ?? "none" }

    private func note(_ text: String) { context.note(Note("\(store.name): \(text)")) }

    private func refusal(_ message: String) -> ImageError { ImageError(.refused, message, file: store.name) }
}
