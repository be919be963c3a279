/// Options by name as the user gave them, read as the values that a writer takes.
public struct OptionValues: Sendable {
    private let texts: [String: String]

    /// - Throws: `.invalidArgument` for a name that is not among `known`, the options of `format`.
    public init(_ texts: [String: String], known: [WriterOption], of format: FormatName) throws(ImageError) {
        let names = known.map(\.name)
        if let unknown = texts.keys.filter({ !names.contains($0) }).min() {
            throw ImageError(
                .invalidArgument, "\(format) images have no option called '\(unknown)'",
                advice: names.isEmpty ? nil : "Known options: \(names.joined(separator: ", ")).")
        }
        self.texts = texts
    }

    public subscript(name: String) -> String? { texts[name] }

    /// - Throws: `.invalidArgument` for a text that is no size.
    public func size(_ name: String) throws(ImageError) -> UInt64? {
        guard let text = texts[name] else { return nil }
        do { return try ByteSize.parse(text).count } catch {
            throw ImageError(.invalidArgument, "\(name)=\(error.description)")
        }
    }

    /// What is switched on or off; `nil` where the option is not given.
    /// - Throws: `.invalidArgument` for another text.
    public func flag(_ name: String) throws(ImageError) -> Bool? {
        switch texts[name] {
        case nil: return nil
        case "on", "true", "yes": return true
        case "off", "false", "no": return false
        case .some(let text): throw Self.none(text, name, known: ["on", "off"])
        }
    }

    /// One of the cases of `Choice`; `nil` where the option is not given.
    /// - Throws: `.invalidArgument` for another text.
    public func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, of type: Choice.Type = Choice.self
    ) throws(ImageError) -> Choice? {
        guard let text = texts[name] else { return nil }
        guard let choice = Choice(rawValue: text) else {
            throw Self.none(text, name, known: Choice.allCases.map(\.rawValue))
        }
        return choice
    }

    private static func none(_ text: String, _ name: String, known: [String]) -> ImageError {
        ImageError(
            .invalidArgument, "'\(text)' is no value of the option \(name)",
            advice: "Known values: \(known.joined(separator: ", ")).")
    }
}
