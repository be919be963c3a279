import Testing

extension CheckDamage {
    private static func firstPlace(_ image: PatchedImage) throws -> Int {
        image.l2Place(try image.plainClusters(1)[0])
    }

    private static let hasNoSnapshot: @Sendable (CheckBase) -> Bool = { !$0.hasSnapshot }
    private static let keepsNothing: @Sendable (CheckBase) -> Bool = { !$0.hasSnapshot && !$0.hasBacking }

    static let all: [CheckDamage] = [
        CheckDamage(name: "none") { _ in },
        CheckDamage(name: "a cluster counted that nothing refers to") { image in
            let end = (image.bytes.count + image.clusterSize - 1) / image.clusterSize * image.clusterSize
            image.bytes += [UInt8](repeating: 0, count: end + image.clusterSize - image.bytes.count)
            image.setRefcount(1, ofClusterAt: end)
        },
        CheckDamage(name: "data not counted") { image in
            image.setRefcount(0, ofClusterAt: image.target(at: try firstPlace(image)))
        },
        CheckDamage(name: "data counted too often", applies: { !$0.options.contains("refcount_bits=1,") }) { image in
            image.setRefcount(3, ofClusterAt: image.target(at: try firstPlace(image)))
        },
        CheckDamage(name: "an L2 table not counted") { image in
            image.setRefcount(0, ofClusterAt: image.target(at: image.l1))
        },
        CheckDamage(name: "the header not counted") { $0.setRefcount(0, ofClusterAt: 0) },
        CheckDamage(name: "COPIED flipped on data") { image in
            let place = try firstPlace(image)
            image.set(image.entry(at: place) ^ PatchedImage.copied, at: place)
        },
        CheckDamage(name: "COPIED flipped on an L2 table") { image in
            image.set(image.entry(at: image.l1) ^ PatchedImage.copied, at: image.l1)
        },
        CheckDamage(name: "COPIED on compressed data", applies: { $0.isCompressed }) { image in
            let place = (0..<image.entriesPerTable).map(image.l2Place).first { image.entry(at: $0) >> 62 & 1 == 1 }
            image.set(image.entry(at: try #require(place)) | PatchedImage.copied, at: try #require(place))
        },
        // The guest reads the same cluster twice from then on.
        CheckDamage(name: "two entries for one cluster", loss: .asRead) { image in
            let clusters = try image.plainClusters(2)
            image.set(image.entry(at: image.l2Place(clusters[0])), at: image.l2Place(clusters[1]))
        },
        CheckDamage(name: "data past the end", loss: .firstCluster, applies: hasNoSnapshot) { image in
            image.set(PatchedImage.copied | 1 << 40, at: try firstPlace(image))
        },
        CheckDamage(name: "an L2 table past the end", loss: .firstTable, applies: keepsNothing) { image in
            image.set(PatchedImage.copied | 1 << 40, at: image.l1)
        },
        CheckDamage(name: "reserved bits in an L2 entry") { image in
            let place = try firstPlace(image)
            image.set(image.entry(at: place) | 1 << 57 | 4, at: place)
        },
        CheckDamage(name: "reserved bits in an L1 entry") { image in
            image.set(image.entry(at: image.l1) | 1 << 57, at: image.l1)
        },
        CheckDamage(
            name: "data not aligned", loss: .firstCluster,
            applies: { !$0.hasSnapshot && !$0.options.contains("cluster_size=512") }
        ) { image in
            let place = try firstPlace(image)
            image.set(image.entry(at: place) + 512, at: place)
        },
        // The peer reads on at the place that is not aligned, and finds nonsense.
        CheckDamage(
            name: "an L2 table not aligned", countsDiffer: true, loss: .firstTable,
            applies: { keepsNothing($0) && !$0.options.contains("cluster_size=512") }
        ) { image in
            image.set(image.entry(at: image.l1) + 512, at: image.l1)
        },
        CheckDamage(name: "no refcount block") { $0.set(0, at: $0.refcountTable) },
        CheckDamage(name: "a refcount block past the end") { $0.set(1 << 40, at: $0.refcountTable) },
        // The peer gives up, as it cannot read the counts.
        CheckDamage(
            name: "a refcount block not aligned", countsDiffer: true, theirStatus: 1,
            applies: { !$0.options.contains("cluster_size=512") }
        ) { image in
            image.set(image.entry(at: image.refcountTable) + 512, at: image.refcountTable)
        },
        // We still use the block, and count it as used.
        CheckDamage(name: "reserved bits in a refcount table entry", countsDiffer: true) { image in
            image.set(image.entry(at: image.refcountTable) | 1, at: image.refcountTable)
        },
        CheckDamage(name: "one refcount block twice") { image in
            image.set(image.entry(at: image.refcountTable), at: image.refcountTable + 16)
        },
        CheckDamage(name: "data given up", loss: .firstCluster, applies: keepsNothing) { image in
            image.set(0, at: try firstPlace(image))
        },
        CheckDamage(name: "an L2 table given up", loss: .firstTable, applies: keepsNothing) { $0.set(0, at: $0.l1) },
        CheckDamage(name: "dirty", applies: { !$0.options.contains("0.10") }) { $0.bytes[79] |= 1 },
        CheckDamage(name: "dirty with stale refcounts", applies: { !$0.options.contains("0.10") }) { image in
            image.bytes[79] |= 1
            for cluster in try image.plainClusters(3) {
                image.setRefcount(0, ofClusterAt: image.target(at: image.l2Place(cluster)))
            }
        },
        CheckDamage(name: "corrupt", applies: { !$0.options.contains("0.10") }) { $0.bytes[79] |= 2 },
        CheckDamage(
            name: "cut by a cluster", loss: .lastCluster,
            applies: { !$0.hasSnapshot && !$0.isCompressed && !$0.hasBitmap && !$0.hasBacking }
        ) { image in
            let last = image.target(at: image.l2Place(try image.lastCluster()))
            image.bytes.removeLast(image.bytes.count - last)
        },
        // Ours says also that the two uses exclude each other.
        CheckDamage(name: "data on an L2 table", countsDiffer: true, loss: .asRead, applies: hasNoSnapshot) {
            image in
            image.set(UInt64(image.target(at: image.l1)) | PatchedImage.copied, at: try firstPlace(image))
        },
        CheckDamage(name: "data on the refcount block", countsDiffer: true, loss: .asRead, applies: hasNoSnapshot) {
            image in
            image.set(UInt64(image.refcountBlock) | PatchedImage.copied, at: try firstPlace(image))
        },
    ]
}
