internal import ReimageCore

/// Names of fields that others look for.
enum InfoName {
    static let timeStamp = "time-stamp"
}

extension Layout {
    /// What the image says of itself.
    func info(_ names: ParentNames?, remarks: [String]) -> ImageInfo {
        ImageInfo(
            virtualSize: byteCount, clusterSize: sparse?.blockSize,
            backing: names.map { Reference(role: Parent.role, name: $0.stored.first ?? "", format: "vhd") },
            uniqueID: footer.uniqueID, specific: footerFields + sparseFields(names), remarks: remarks)
    }

    private var footerFields: [InfoField] {
        [
            InfoField("subformat", .text(kind.text)),
            InfoField("creator", .text(footer.creator.text)),
            InfoField(
                "creator-version", .text("\(footer.creatorVersion >> 16).\(footer.creatorVersion & 0xFFFF)")),
            InfoField("creator-os", .text(Creator(code: footer.creatorOS).text)),
            InfoField("current-size", .number(sizes.current)),
            InfoField("geometry-size", .number(sizes.geometry)),
            InfoField("original-size", .number(footer.originalSize)),
            InfoField("geometry", .text(footer.geometry.description)),
            InfoField("unique-id", .text(uniqueIDText(footer.uniqueID))),
            InfoField(InfoName.timeStamp, .number(Self.unixSeconds(footer.timeStamp))),
            InfoField("features", .text("0x" + String(footer.features, radix: 16))),
            InfoField("saved-state", .flag(footer.savedState != 0)),
        ]
    }

    private func sparseFields(_ names: ParentNames?) -> [InfoField] {
        guard let sparse else { return [] }
        let header = sparse.header
        var fields = [
            InfoField("block-size", .number(sparse.blockSize)),
            InfoField("table-entries", .number(UInt64(header.entries))),
        ]
        if let names {
            fields += [
                InfoField("parent-unique-id", .text(uniqueIDText(header.parentID))),
                InfoField("parent-names", .list(names.stored.map { .text($0) })),
            ]
            if header.parentTimeStamp != 0 {
                fields.append(InfoField("parent-time-stamp", .number(Self.unixSeconds(header.parentTimeStamp))))
            }
        }
        return fields
    }

    private static func unixSeconds(_ timeStamp: UInt32) -> UInt64 { UInt64(Footer.epoch) + UInt64(timeStamp) }
}

extension Footer.Kind {
    /// The kind as users of `qemu-img create -o subformat=` know it.
    var text: String {
        switch self {
        case .fixed: "fixed"
        case .dynamic: "dynamic"
        case .differencing: "differencing"
        }
    }
}
