internal import ArgumentParser
internal import Reimage
internal import ReimageCodecs
internal import ReimageCore
internal import ReimageDisks
internal import ReimageSystem

extension RestoreOutcome {
    /// Writes the receipt.
    func write(to receipt: PartialFile) throws {
        let text = try jsonText(json()) + "\n"
        try Array(text.utf8).withBytes { (bytes) throws(ImageError) in try receipt.sink.write(bytes, at: .zero) }
        try receipt.commit()
    }

    /// What was done, to what, and what it came to: the receipt.
    func json() -> JSONFields {
        var fields = JSONFields()
        fields.add("tool", Root.configuration.version)
        fields.add("started", started)
        fields.add("ended", ended)
        var source = JSONFields()
        source.add("filename", preparation.imagePath)
        source.add("format", preparation.image.image.format.text)
        // What ended early has not counted it.
        source.add("virtual-size", preparation.byteCount ?? summary.byteCount)
        source.add("digest", summary.digest?.description)
        source.add("unreadable-bytes", summary.unreadableByteCount)
        fields.add("source", source)
        fields.add("targets", summary.results.indices.map(target))
        return fields
    }

    private func target(_ index: Int) -> JSONFields {
        let (result, target) = (summary.results[index], preparation.targets[index])
        var fields = JSONFields()
        fields.add("device", target.device.identityJSON)
        fields.add("complete", result.error == nil)
        if let error = result.error {
            var failure = JSONFields()
            failure.add("code", error.code.rawValue)
            failure.add("message", error.message)
            failure.add("advice", error.advice)
            fields.add("error", failure)
        }
        fields.add("covered-bytes", result.byteCount)
        fields.add("written-bytes", result.counts.written)
        fields.add("zeroed-bytes", result.counts.zeroed - min(result.counts.zeroed, discarded[index]))
        fields.add("discarded-bytes", discarded[index])
        fields.add("kept-bytes", result.counts.kept)
        fields.add("resumed-bytes", result.counts.resumed)
        fields.add("verified-bytes", result.counts.verified)
        fields.add("digest", result.digest?.description)
        // What is put right is on the disk only once the tables are.
        if result.error == nil, let plan = plans[index] { plan.add(to: &fields) }
        switch result.verification {
        case .none: fields.add("verification", "none")
        case .passed: fields.add("verification", "passed")
        case .differs(let ranges, let isCut):
            fields.add("verification", "differs")
            fields.add("differing-ranges", ranges.map { ["start": $0.start.value, "length": $0.count] })
            fields.add("more-differ", isCut)
        }
        fields.add("journal", target.journalPath)
        fields.add("write-seconds", result.writeSeconds)
        fields.add("verify-seconds", result.verifySeconds)
        return fields
    }
}

extension Device {
    /// What tells the device from others.
    var identityJSON: JSONFields {
        var fields = JSONFields()
        fields.add("path", path)
        fields.add("stable-paths", stablePaths)
        fields.add("model", fullModel)
        fields.add("serial", serial)
        fields.add("wwn", worldWideName)
        fields.add("size", byteCount)
        fields.add("logical-sector-size", logicalSector)
        fields.add("backing-file", backingFile)
        return fields
    }
}
