internal import ArgumentParser
internal import Reimage
internal import ReimageCore

/// `reimage formats`.
struct Formats: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "formats",
        abstract: "Lists the formats that can be read and written.",
        discussion: """
            EXAMPLES
              reimage formats
              reimage convert -O raw -o help
            """)

    @OptionGroup var report: ReportOptions

    func run() throws {
        let formats = FormatRegistry.standard.formats
        guard !report.isJSON else { return Console.result(try jsonText(formats.map(fields))) }
        let names = formats.map { ([$0.name] + $0.aliases).map(\.text).joined(separator: ", ") }
        let width = (names.map(\.count).max() ?? 0) + 2
        func padded(_ text: String) -> String { text + String(repeating: " ", count: width - text.count) }
        Console.result("\(padded("Format"))Read  Write")
        for (name, format) in zip(names, formats) {
            Console.result("\(padded(name))yes   \(format.writerOptions == nil ? "no " : "yes")    \(format.summary)")
        }
    }

    private func fields(_ format: any ImageFormat) -> JSONFields {
        var fields = JSONFields()
        fields.add("name", format.name.text)
        fields.add("aliases", format.aliases.map(\.text))
        fields.add("read", true)
        fields.add("write", format.writerOptions != nil)
        fields.add("summary", format.summary)
        return fields
    }
}
