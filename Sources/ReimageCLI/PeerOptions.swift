internal import ArgumentParser
internal import ReimageCore
internal import ReimageSystem

/// Flags that people type from `qemu-img convert`: mapped to what they mean here, or refused with the reason.
struct PeerOptions: ParsableArguments {
    @Option(name: .customShort("m"), help: .hidden)
    var coroutines: Int?

    @Flag(name: .customShort("W"), help: .hidden)
    var outOfOrder = false

    @Option(
        name: .customShort("t"),
        help: ArgumentHelp(
            "How the target is written: none, directsync (past the page cache), writeback, writethrough, unsafe (through it).",
            valueName: "CACHE"))
    var targetCacheName: CacheName?

    @Option(
        name: .customShort("T"), help: ArgumentHelp("How the source is read, by the same names.", valueName: "CACHE"))
    var sourceCacheName: CacheName?

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @Flag(help: .hidden)
    var salvage = false

    @Flag(help: .hidden)
    var bitmaps = false

    /// qemu's names of cache modes.
    enum CacheName: String, ExpressibleByArgument, CaseIterable {
        case none, directsync, writeback, writethrough, unsafe

        var policy: CachePolicy { self == .none || self == .directsync ? .direct : .cached }
    }

    var targetCache: CachePolicy { targetCacheName?.policy ?? .direct }
    var sourceCache: CachePolicy { sourceCacheName?.policy ?? .cached }

    func refuseWhatIsMissing() throws {
        if salvage {
            throw ImageError(
                .unsupported, "--salvage: reimage does not put zeros where the source cannot be read",
                advice: "Repair or copy the source first.")
        }
        if bitmaps {
            throw ImageError(
                .unsupported, "--bitmaps: dirty bitmaps are not copied",
                advice: "Leave it away: the target gets the data, and its first backup must be a full one.")
        }
    }
}

/// `-o` as qemu-img takes it: `k=v,k=v`, a doubled comma for a comma in a value.
enum WriterOptionText {
    static func parse(_ texts: [String]) throws -> [String: String] {
        var options: [String: String] = [:]
        for part in texts.flatMap(split) where !part.isEmpty {
            guard let equals = part.firstIndex(of: "=") else {
                throw ValidationError("-o takes name=value; '\(part)' has no value.")
            }
            options[String(part[..<equals])] = String(part[part.index(after: equals)...])
        }
        return options
    }

    private static func split(_ text: String) -> [String] {
        var parts = [""]
        var rest = text[...]
        while let character = rest.popFirst() {
            if character != "," {
                parts[parts.count - 1].append(character)
            } else if rest.first == "," {
                rest.removeFirst()
                parts[parts.count - 1].append(",")
            } else {
                parts.append("")
            }
        }
        return parts
    }
}
