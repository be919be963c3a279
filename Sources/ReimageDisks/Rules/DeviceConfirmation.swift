internal import ReimageCore

/// How a user shows that the device is the one that is meant.
public struct DeviceConfirmation: Sendable, Hashable {
    /// What was given.
    public enum Given: Sendable, Hashable {
        case nothing
        /// A plain yes, which names no device.
        case yes
        /// What was typed, or passed with `--confirm`.
        case text(String)
    }

    /// What identifies a device.
    public enum Identity: Sendable, Hashable {
        case serial(String)
        /// A name below `/dev/disk/by-id`.
        case stableName(String)
        /// The size, for a device without a serial number.
        case size(UInt64)
    }

    /// Fewer characters than this say nothing.
    public static let leastCharacters = 4

    /// What may be typed for the device; the first is what to ask for.
    public let identities: [Identity]
    /// Whether a plain yes is enough.
    public let acceptsYes: Bool
    private let path: String

    /// What identifies `device`: its serial number and its stable names; its size too where it has no serial.
    ///
    /// A plain yes is enough for what can be taken out (sticks, cards) and for loop devices. A USB disk that says of
    /// itself that it is fixed holds too much for that.
    public init(_ device: Device) {
        path = device.path
        acceptsYes = device.isRemovable || device.kind == .loop
        let serial = device.serial.flatMap { $0.count >= Self.leastCharacters ? Identity.serial($0) : nil }
        let size = Identity.size(device.byteCount)
        let names = device.stablePaths.compactMap { path in path.split(separator: "/").last.map { String($0) } }
        identities = [serial].compactMap { $0 } + names.map { .stableName($0) } + (serial == nil ? [size] : [])
    }

    /// The question to ask: what to type, in words.
    public var question: String {
        switch identities[0] {
        case .serial(let serial): "type the last \(Self.leastCharacters) or more characters of the serial (\(serial))"
        case .stableName(let name):
            "type the last \(Self.leastCharacters) or more characters of the id (\(Self.meaningful(name)))"
        case .size(let count): "type its size (\(humanSize(count)), or \(count))"
        }
    }

    /// Why `given` does not confirm the device; `nil` where it does.
    public func refusal(for given: Given) -> DeviceRefusal? {
        let advice = "To confirm, \(question); in a script pass it with --confirm."
        switch given {
        case .nothing:
            return DeviceRefusal(
                .notConfirmed, "nobody confirmed that this is the device to be overwritten", advice: advice)
        case .yes:
            guard !acceptsYes else { return nil }
            return DeviceRefusal(
                .notConfirmed, "--yes alone is enough only for removable media and loop devices", advice: advice)
        case .text(let text):
            guard !identities.contains(where: { Self.confirms(text, $0) }) else { return nil }
            return DeviceRefusal(.notConfirmed, "'\(text)' does not identify \(path)", advice: advice)
        }
    }

    private static func confirms(_ text: String, _ identity: Identity) -> Bool {
        switch identity {
        case .serial(let serial):
            ends(serial, in: text)
        case .stableName(let name):
            ends(name, in: text, counting: meaningful(name)) || ends(meaningful(name), in: text)
        case .size(let count):
            text == String(count) || compact(text) == compact(humanSize(count))
        }
    }

    /// Whether `text` is the end of `name`, and takes enough characters from its part `told`, which stands in front.
    private static func ends(_ name: String, in text: String, counting told: String? = nil) -> Bool {
        let ending = name.count - (told ?? name).count
        return text.count >= leastCharacters + ending && name.lowercased().hasSuffix(text.lowercased())
    }

    /// A stable name without the endings that many devices have: `-0:0` of every stick, `-part1`.
    private static func meaningful(_ name: String) -> String {
        guard let dash = name.lastIndex(of: "-") else { return name }
        let ending = name[name.index(after: dash)...]
        let digits = ending.hasPrefix("part") ? ending.dropFirst(4) : ending.drop { $0 != ":" }.dropFirst()
        guard ending.hasPrefix("part") || ending.contains(":"), digits.allSatisfy(\.isNumber), !digits.isEmpty else {
            return name
        }
        let rest = String(name[..<dash])
        // A partition of a stick has both.
        return ending.hasPrefix("part") ? meaningful(rest) : rest
    }

    /// Without spaces and in small letters: `64MiB` is `64 MiB`.
    private static func compact(_ text: String) -> String { text.lowercased().filter { $0 != " " } }
}
