internal import ReimageCore
internal import ReimageDisks
internal import ReimageSystem

extension DeviceReport {
    /// Every fact, for scripts.
    func json() -> JSONFields {
        var fields = JSONFields()
        fields.add("path", device.path)
        fields.add("name", device.name)
        fields.add("number", device.number.description)
        fields.add("kind", device.kind.rawValue)
        fields.add("bus", device.bus.rawValue)
        fields.add("size", device.byteCount)
        fields.add("stable-paths", device.stablePaths)
        fields.add("vendor", device.vendor)
        fields.add("model", device.model)
        fields.add("serial", device.serial)
        fields.add("wwn", device.worldWideName)
        fields.add("label", device.label)
        fields.add("removable", device.isRemovable)
        fields.add("read-only", device.isReadOnly)
        fields.add("rotational", device.isRotational)
        fields.add("zoned", device.isZoned)
        fields.add("hidden", device.isHidden)
        fields.add("logical-sector-size", device.logicalSector)
        fields.add("physical-sector-size", device.physicalSector)
        fields.add("discard", json(device.discard))
        fields.add("disk-sequence", device.sequence)
        fields.add("backing-file", device.backingFile)
        if let place = device.place { fields.add("partition-of", json(place)) }
        fields.add("contents", survey.signatures.map(json))
        fields.add("partition-table", survey.tableKind)
        fields.add("partitions", survey.partitions.map(json))
        fields.add("uses", device.uses.map(json))
        fields.add("system-disk", device.isSystemDisk)
        if let claim { add(claim, to: &fields) }
        fields.add("restore-refusals", refusals.map(json))
        if !survey.problems.isEmpty { fields.add("problems", survey.problems.map(\.description)) }
        return fields
    }

    private func json(_ discard: Device.Discard) -> JSONFields {
        var fields = JSONFields()
        fields.add("max-bytes", discard.maximumByteCount)
        fields.add("granularity", discard.granularity)
        fields.add("zeroes-data", discard.zeroesData)
        fields.add("write-zeroes-max-bytes", discard.maximumZeroByteCount)
        return fields
    }

    private func json(_ place: Device.Place) -> JSONFields {
        var fields = JSONFields()
        fields.add("disk", "/dev/\(place.disk)")
        fields.add("number", place.number)
        fields.add("start", place.start)
        return fields
    }

    private func json(_ signature: ContentSignature) -> JSONFields {
        var fields = JSONFields()
        fields.add("type", signature.kind.rawValue)
        fields.add("version", signature.version)
        fields.add("label", signature.label)
        fields.add("uuid", signature.uuid)
        return fields
    }

    private func json(_ partition: DeviceSurvey.Partition) -> JSONFields {
        let kernel = partition.kernelName.flatMap { kernelPartitions[$0] }
        var fields = JSONFields()
        fields.add("number", partition.entry.number)
        fields.add("path", kernel?.path)
        fields.add("start", partition.entry.range.start.value)
        fields.add("size", partition.entry.range.count)
        fields.add("type", partition.entry.type)
        fields.add("type-id", partition.entry.typeID)
        fields.add("name", partition.entry.name)
        fields.add("unique-id", partition.entry.uniqueID)
        fields.add("read-only", kernel?.isReadOnly)
        fields.add("stable-paths", kernel?.stablePaths)
        fields.add("contents", partition.signatures.map(json))
        fields.add("uses", kernel?.uses.map(json))
        return fields
    }

    private func json(_ use: DeviceUse) -> JSONFields {
        var fields = JSONFields()
        switch use.kind {
        case .mounted(let places, let fileSystem):
            fields.add("kind", "mounted")
            fields.add("mount-points", places)
            fields.add("file-system", fileSystem)
        case .open(let fileSystem):
            fields.add("kind", "open")
            fields.add("file-system", fileSystem)
        case .swap:
            fields.add("kind", "swap")
        case .held(let holder):
            fields.add("kind", "held")
            fields.add("holder", holder.name)
            fields.add("holder-kind", holder.what)
            fields.add("holder-label", holder.label)
        }
        fields.add("through", use.chain)
        fields.add("system", use.isOfSystem)
        return fields
    }

    private func json(_ refusal: DeviceRefusal) -> JSONFields {
        var fields = JSONFields()
        fields.add("reason", refusal.reason.rawValue)
        fields.add("message", refusal.message)
        fields.add("advice", refusal.advice)
        return fields
    }

    private func add(_ claim: DeviceClaim, to fields: inout JSONFields) {
        switch claim {
        case .free: fields.add("exclusive-open", "free")
        case .busy: fields.add("exclusive-open", "busy")
        case .unknown(let reason):
            fields.add("exclusive-open", "unknown")
            fields.add("exclusive-open-error", reason)
        }
    }
}
