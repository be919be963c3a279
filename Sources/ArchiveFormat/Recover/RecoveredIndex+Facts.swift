internal import ReimageCore

// What an archive that may be damaged tells besides its slots.
extension RecoveredIndex {
    /// The most ranges of ERRS records that are kept.
    private static let mostErrors = 1 << 20

    /// The file header or its copy; `nil` where neither is left.
    var header: FileHeader? {
        switch basis {
        case .root(let index): index.header
        case .scan(let scan): scan.header
        }
    }

    /// The metadata; `nil` where none is left.
    var metadata: Metadata? {
        switch basis {
        case .root(let index): return try? index.metadata(store)
        case .scan(let scan):
            var reader = RecordReader(store, tag: rules.tag)
            guard let place = scan.metadata, let record = (try? reader.record(at: place)) ?? nil,
                let bytes = record.payloadBytes(store)
            else { return nil }
            return try? Metadata(decoding: bytes)
        }
    }

    /// What became of the archive when it was made, as far as it is known.
    var footerFlags: Footer.Flags {
        switch basis {
        case .root(let index): index.footer.flags
        case .scan(let scan): scan.footer?.flags ?? .complete
        }
    }

    /// Whether the disk is known to be only what was left of one, or its size is not known.
    var isIncomplete: Bool {
        if case .scan(let scan) = basis, scan.isSizeGuessed { return true }
        return !footerFlags.contains(.complete)
    }

    /// The ranges that the source could not give, with their errors, ascending; what cannot be read of them is left out.
    func errors() -> [ErrorsRecord.Entry] {
        var places: [HostOffset] = []
        switch basis {
        case .root(let index): if index.footer.errors != 0 { places = [HostOffset(index.footer.errors)] }
        case .scan(let scan): places = scan.errors.reversed()
        }
        let isChain = if case .root = basis { true } else { false }
        var reader = RecordReader(store, tag: rules.tag)
        var lists: [[ErrorsRecord.Entry]] = []
        var count = 0
        while let place = places.first, count < Self.mostErrors {
            places.removeFirst()
            guard let record = (try? reader.record(at: place)) ?? nil, let payload = record.payloadBytes(store),
                let errors = payload.withBytes({ payload in
                    record.bytes.withBytes { bytes in
                        try? ErrorsRecord(decoding: bytes, payload: payload, of: record.header, rules)
                    }
                })
            else { continue }
            lists.append(errors.entries)
            count += errors.entries.count
            // Each lies before the one that names it, so the chain ends.
            if isChain, errors.previous != 0 { places.append(HostOffset(errors.previous)) }
        }
        return lists.reversed().flatMap { $0 }.sorted { $0.range.start < $1.range.start }
    }
}
