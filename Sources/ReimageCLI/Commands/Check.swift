internal import ArgumentParser
internal import Reimage
internal import ReimageCore

/// `reimage check`.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks an image's structures against each other, and repairs them where asked to.",
        discussion: """
            Without -r the image is only read. Exit status: 0 clean, 1 could not check or refused, 2 corrupt, 3 leaks \
            only, 63 the format has nothing to check. After a repair it is that of what is left.

            With --profile the image is judged by the rules of those who take such images, each of which is listed with
            pass or FAIL. Exit status: 0 all are kept, 2 some are not, 63 there are none for the format.

            EXAMPLES
              reimage check vm.qcow2
              reimage check -r leaks vm.qcow2    give back space that nothing uses
              reimage check -r all vm.qcow2      put right what can be put right without guessing at data
              reimage check --profile azure vm.vhd
            """)

    enum Level: String, ExpressibleByArgument, CaseIterable {
        case leaks, all

        var level: RepairLevel { self == .leaks ? .leaks : .all }
    }

    @Argument(help: "The image.")
    var image: String

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The image's format; found out otherwise.", valueName: "FORMAT"))
    var format: FormatName?

    @Option(
        name: [.customShort("r"), .long],
        help: ArgumentHelp("Change the image: leaks gives back lost space, all repairs.", valueName: "leaks|all"))
    var repair: Level?

    @Option(help: ArgumentHelp("Judge the image by these rules: azure (vhd).", valueName: "NAME"))
    var profile: String?

    @Flag(name: [.short, .long], help: "Say nothing but errors; the exit status tells.")
    var quiet = false

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @Option(name: .customShort("T"), help: .hidden)
    var cache: PeerOptions.CacheName?

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions

    func validate() throws {
        guard profile == nil || repair == nil else {
            throw ValidationError("--profile only judges; give it without -r.")
        }
    }

    func run() throws {
        do {
            if let profile { return try judge(profile) }
            var findings = FindingReport(printsLines: !report.isJSON && !quiet)
            let (format, summary) = try examine(&findings)
            if report.isJSON {
                Console.result(try jsonText(json(format, summary, findings)))
            } else if !quiet {
                findings.finish()
                tell(summary)
            }
            if let status = Self.status(of: summary) { throw ExitCode(status.rawValue) }
        } catch let error as ImageError {
            Console.error(error)
            Signals.finish()
            let status = error.code == .unsupported ? ExitStatus.unsupported : .failure
            throw ExitCode(status.rawValue)
        }
    }

    private func examine(_ findings: inout FindingReport) throws(ImageError) -> (FormatName, CheckSummary) {
        let opener = opening.opener(isQuiet: quiet)
        if let repair {
            let (format, target, context) = try opener.openForUpdate(image, format: format)
            let summary = try format.repair(target, repair.level, context) { findings.take($0) }
            return (format.name, summary)
        }
        let (format, source, context) = try opener.openUnread(image, format: format)
        return (format.name, try format.check(source, context) { findings.take($0) })
    }

    /// Lists the rules of `profile`.
    private func judge(_ profile: String) throws {
        let (format, source, context) = try opening.opener(isQuiet: quiet).openUnread(image, format: format)
        let rules = try format.check(source, forProfile: profile, context)
        let isKept = rules.allSatisfy(\.isKept)
        if report.isJSON {
            var fields = JSONFields()
            fields.add("filename", image)
            fields.add("format", format.name.text)
            fields.add("profile", profile)
            fields.add("passed", isKept)
            fields.add("rules", rules.map(Self.json))
            Console.result(try jsonText(fields))
        } else if !quiet {
            for rule in rules { Console.result("\(rule.isKept ? "pass" : "FAIL")  \(rule.text): \(rule.found)") }
        }
        if !isKept { throw ExitCode(ExitStatus.corrupt.rawValue) }
    }

    private static func json(_ rule: ProfileRule) -> JSONFields {
        var fields = JSONFields()
        fields.add("rule", rule.text)
        fields.add("found", rule.found)
        fields.add("passed", rule.isKept)
        return fields
    }

    /// The status for what is there now; `nil` for a clean image.
    private static func status(of summary: CheckSummary) -> ExitStatus? {
        if summary.checkErrors > 0 { return .failure }
        if summary.corruptions > 0 { return .corrupt }
        return summary.leaks > 0 ? .leaks : nil
    }

    /// The fields of `qemu-img check --output=json` by their names, and the findings.
    private func json(_ format: FormatName, _ summary: CheckSummary, _ findings: FindingReport) -> JSONFields {
        var fields = JSONFields()
        fields.add("filename", image)
        fields.add("format", format.text)
        fields.add("check-errors", summary.checkErrors)
        fields.add("image-end-offset", summary.imageEndOffset.value)
        fields.add("corruptions", summary.corruptions)
        fields.add("leaks", summary.leaks)
        fields.add("corruptions-fixed", summary.corruptionsFixed)
        fields.add("leaks-fixed", summary.leaksFixed)
        fields.add("total-clusters", summary.totalClusters)
        fields.add("allocated-clusters", summary.allocatedClusters)
        fields.add("fragmented-clusters", summary.fragmentedClusters)
        fields.add("compressed-clusters", summary.compressedClusters)
        fields.add("findings", findings.kept.map(Self.json))
        if findings.leftOut > 0 { fields.add("findings-left-out", findings.leftOut) }
        return fields
    }

    static func json(_ finding: CheckFinding) -> JSONFields {
        var fields = JSONFields()
        fields.add("kind", finding.kind.word)
        fields.add("message", finding.message)
        fields.add("offset", finding.place?.value)
        fields.add("guest-offset", finding.guest?.start.value)
        fields.add("guest-length", finding.guest?.count)
        fields.add("fixed", finding.isFixed)
        return fields
    }

    private func tell(_ summary: CheckSummary) {
        if summary.corruptionsFixed > 0 || summary.leaksFixed > 0 {
            Console.result("The following inconsistencies were found and repaired:")
            Console.result("    \(summary.leaksFixed) leaked clusters")
            Console.result("    \(summary.corruptionsFixed) corruptions")
            Console.result("The image was checked again after that:")
        }
        if summary.isClean { Console.result("No errors were found on the image.") }
        if summary.corruptions > 0 {
            Console.result("\(summary.corruptions) errors were found on the image.")
            Console.result("Data may be corrupted, or further writes to the image may corrupt it.")
        }
        if summary.leaks > 0 {
            Console.result("\(summary.leaks) leaked clusters were found on the image.")
            Console.result("This means waste of disk space, but no harm to data.")
        }
        if summary.checkErrors > 0 { Console.result("\(summary.checkErrors) structures could not be examined.") }
        if summary.totalClusters > 0 {
            let allocated = Self.percent(summary.allocatedClusters, of: summary.totalClusters)
            let fragmented = Self.percent(summary.fragmentedClusters, of: summary.allocatedClusters)
            let compressed = Self.percent(summary.compressedClusters, of: summary.allocatedClusters)
            Console.result(
                "\(summary.allocatedClusters)/\(summary.totalClusters) = \(allocated) allocated, "
                    + "\(fragmented) fragmented, \(compressed) compressed clusters")
        }
        Console.result("Image end offset: \(summary.imageEndOffset)")
    }

    /// `part` of `whole` with two decimals.
    private static func percent(_ part: UInt64, of whole: UInt64) -> String {
        let hundredths = whole == 0 ? 0 : UInt64((Double(part) / Double(whole) * 10000).rounded())
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)%"
    }
}
