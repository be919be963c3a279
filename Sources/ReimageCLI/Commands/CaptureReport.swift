internal import ArgumentParser
internal import ReimageCodecs
internal import ReimageCore
internal import ReimageDisks
internal import ReimagePipeline
internal import ReimageSystem

/// What a capture has come to, for people and scripts.
struct CaptureReport {
    let device: Device
    let disk: CaptureDisk
    let image: String
    let format: FormatName
    /// Where the map of what was read is written.
    let mapPath: String?
    let summary: CopySummary
    /// Whether the image was read back and compared.
    let isVerified: Bool
    let isQuiet: Bool

    /// How many lost ranges are named to people; JSON and maps have all.
    private static let mostShown = 20

    /// Tells it, and ends with status 1 where something was lost.
    func tell(asJSON isJSON: Bool) throws {
        if isJSON {
            Console.result(try jsonText(json()))
        } else if isVerified, let digest = summary.digest {
            Console.result("\(digest)")
        }
        if isVerified, !isJSON, !isQuiet {
            Console.message("reimage: verified: \(image) reads back as it was captured.")
        }
        let lost = disk.lost
        guard !lost.isEmpty else { return }
        let count = lost.reduce(0) { $0 + $1.range.count }
        let places = mapPath.map { "; \($0) says which" } ?? ""
        Console.message(
            "reimage: \(device.path): \(count) bytes in \(lost.count) \(lost.count == 1 ? "place" : "places") could not be "
                + "read and are zeros in the image\(places).")
        if mapPath == nil && !isJSON {
            for run in lost.prefix(Self.mostShown) {
                Console.message("reimage: \(run.range.count) bytes from byte \(run.range.start)")
            }
            if lost.count > Self.mostShown { Console.message("reimage: and \(lost.count - Self.mostShown) more") }
        }
        throw ExitCode(ExitStatus.failure.rawValue)
    }

    private func json() -> JSONFields {
        var fields = JSONFields()
        fields.add("tool", Root.configuration.version)
        fields.add("device", device.identityJSON)
        var target = JSONFields()
        target.add("filename", image)
        target.add("format", format.text)
        target.add("virtual-size", summary.byteCount)
        target.add("data-bytes", summary.dataByteCount)
        target.add("digest", summary.digest?.description)
        target.add("verified", isVerified)
        fields.add("image", target)
        let lost = disk.lost
        fields.add("unreadable-bytes", lost.reduce(0) { $0 + $1.range.count })
        fields.add(
            "unreadable",
            lost.map { run in
                var fields = JSONFields()
                fields.add("start", run.range.start.value)
                fields.add("length", run.range.count)
                fields.add("error", Int(run.systemCode))
                fields.add("tries", run.tries)
                return fields
            })
        fields.add("map", mapPath)
        return fields
    }
}
