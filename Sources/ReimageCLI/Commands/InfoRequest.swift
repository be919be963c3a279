internal import Reimage
internal import ReimageCore

/// What `info` was asked.
struct InfoRequest {
    let image: String
    var format: FormatName?
    var isJSON = false
    /// As the options that every verb takes have it by default.
    var opener = ImageOpener(cancellation: Signals.cancellation)

    init(_ image: String) { self.image = image }

    /// What the arguments of the program ask for, where that is `info` of one image, perhaps as JSON, and no more.
    ///
    /// Scripts ask so for every image they meet, and ArgumentParser takes several times as long to read the question as
    /// it takes to answer it. All other forms are left to it.
    init?(plain arguments: [String]) {
        guard arguments.count == 2 || arguments.count == 3, arguments[0] == "info" else { return nil }
        let images = arguments.dropFirst().filter { !$0.hasPrefix("-") }
        let options = arguments.dropFirst().filter { $0.hasPrefix("-") }
        guard images.count == 1, options.allSatisfy({ $0 == "--json" || $0 == "--output=json" }) else { return nil }
        self.init(images[0])
        isJSON = !options.isEmpty
    }

    func run() throws {
        let opened = try opener.open(image, format: format, opensReferences: false)
        let info: ImageInfo
        do throws(ImageError) { info = try opened.image.info() } catch { throw error.inFile(image) }
        var text = InfoText(name: image, format: opened.image.format, info: info, isGuess: !opened.formatIsKnown)
        if case .store(let store) = opened.source.bytes { text.storedSize = store.allocatedByteCount }
        if isJSON { Console.result(try jsonText(text.json())) } else { text.print() }
    }
}
