internal import Reimage
internal import ReimageCore
internal import ReimageDisks
internal import ReimagePipeline
internal import ReimageSystem

/// What a restore would do, for people and scripts; nothing is written to find it out.
struct RestorePlanReport {
    private let preparation: RestorePreparation
    private let command: Restore
    /// How many bytes of the image hold data by its own tables; `nil` for a stream.
    private let dataByteCount: UInt64?

    init(_ preparation: RestorePreparation, _ command: Restore) throws {
        self.preparation = preparation
        self.command = command
        if case .random(let disk) = preparation.content {
            dataByteCount = try disk.dataByteCount()
        } else {
            dataByteCount = nil
        }
    }

    func print() throws {
        if command.report.isJSON { return Console.result(try jsonText(json())) }
        for line in lines { Console.result(line) }
    }

    private var imageText: String {
        guard let count = preparation.byteCount else { return "a stream; its length is known at its end" }
        let data = dataByteCount.map { ", \(humanSize($0)) of them data" } ?? ""
        return "\(humanSize(count)) (\(count) bytes\(data))"
    }

    private var lines: [String] {
        var lines = ["image: \(preparation.imagePath.printable), \(preparation.image.image.format), \(imageText)"]
        for target in preparation.targets {
            let device = target.device
            lines.append("device: \(device.path), \(humanSize(device.byteCount)) (\(device.byteCount) bytes)")
            if let model = device.fullModel { lines.append("  model: \(model.printable)") }
            if let serial = device.serial { lines.append("  serial: \(serial.printable)") }
            lines += target.report.destroyed.map { "  destroyed: \($0)" }
            lines.append("  kept for undoing: " + (target.journalPath ?? "nothing (--no-journal)"))
            lines.append("  written: \(writtenText)")
            lines.append("  zeros: \(zeroText(device))")
            lines += fixUpLines(target.plan)
            if isLarger(device) {
                lines.append(
                    "  left as it is: what lies behind the image, but for the end of the disk, which becomes zeros")
            }
            lines.append(
                "  read back and compared: \(command.skipsVerification ? "no (--no-verify)" : "all that the image covers")"
            )
            lines.append("  time: \(timeText(device))")
            lines.append("  to confirm: \(DeviceConfirmation(device).question)")
        }
        lines.append("Nothing was written.")
        return lines
    }

    private func fixUpLines(_ plan: FixUpPlan?) -> [String] {
        guard let plan else { return ["  put right: what the partition table needs, once the stream has ended"] }
        return plan.changes.map { "  put right: \($0.message)" } + plan.warnings.map { "  warning: \($0.text)" }
            + plan.advice.map { "  afterwards: \($0)" }
    }

    private var writtenText: String {
        guard !command.delta else { return "only what differs" }
        return dataByteCount.map { "\(humanSize($0)) of data at the most, the first and the last MiB at the very end" }
            ?? "the whole stream, the first and the last MiB at the very end"
    }

    private func zeroText(_ device: Device) -> String {
        if device.kind == .loop { return "discarded, which a loop device reads as zeros" }
        return device.discard.maximumZeroByteCount > 0
            ? "by the device's own command" : "by writing them, unless the device can do it better"
    }

    private func isLarger(_ device: Device) -> Bool { preparation.byteCount.map { $0 < device.byteCount } ?? true }

    /// The seconds that writing and reading back take, if the device writes as fast as it reads.
    private func seconds(_ device: Device) -> (write: Double, verify: Double, rate: Double)? {
        guard let total = preparation.byteCount, let rate = Self.readRate(of: device) else { return nil }
        let written = command.delta ? total : dataByteCount ?? total
        return (Double(written) / rate, command.skipsVerification ? 0 : Double(total) / rate, rate)
    }

    private func timeText(_ device: Device) -> String {
        guard let seconds = seconds(device) else { return "not known" }
        let words =
            [Self.duration(seconds.write) + " to write"]
            + (seconds.verify > 0 ? [Self.duration(seconds.verify) + " to read back"] : [])
        return "about \(words.joined(separator: " and ")), if it writes as fast as it reads "
            + "(\(humanSize(UInt64(seconds.rate)))/s just now)"
    }

    private static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 120 { return "\(whole) s" }
        return whole < 7200 ? "\((whole + 59) / 60) min" : "\(whole / 3600) h \(whole % 3600 / 60) min"
    }

    /// How fast the device reads, in bytes a second, by a look at its first 64 MiB.
    private static func readRate(of device: Device) -> Double? {
        guard let store = try? BlockDeviceStore(path: device.path, cache: .direct), store.byteCount > 0 else {
            return nil
        }
        let (piece, start) = (1 << 20, ContinuousClock.now)
        var buffer = AlignedBuffer(byteCount: piece)
        var done: UInt64 = 0
        while done < min(64 << 20, store.byteCount) {
            let count = Int(min(UInt64(piece), store.byteCount - done))
            do throws(ImageError) {
                try buffer.withMutableBytes(0..<count) { (span) throws(ImageError) in
                    try store.read(into: &span, at: HostOffset(done))
                }
            } catch { return nil }
            done += UInt64(count)
        }
        let elapsed = start.duration(to: .now) / .seconds(1)
        return Double(done) / max(elapsed, 1e-6)
    }

    private func json() -> JSONFields {
        var fields = JSONFields()
        var source = JSONFields()
        source.add("filename", preparation.imagePath)
        source.add("format", preparation.image.image.format.text)
        source.add("virtual-size", preparation.byteCount)
        source.add("data-bytes", dataByteCount)
        fields.add("source", source)
        fields.add("delta", command.delta)
        fields.add("verify", !command.skipsVerification)
        fields.add(
            "targets",
            preparation.targets.map { target in
                var fields = JSONFields()
                fields.add("device", target.device.identityJSON)
                fields.add("destroyed", target.report.destroyed)
                fields.add("journal", target.journalPath)
                fields.add("discards-zeros", target.device.kind == .loop)
                target.plan?.add(to: &fields)
                let seconds = seconds(target.device)
                fields.add("write-seconds", seconds?.write)
                fields.add("verify-seconds", seconds?.verify)
                fields.add("to-confirm", DeviceConfirmation(target.device).question)
                return fields
            })
        return fields
    }
}
