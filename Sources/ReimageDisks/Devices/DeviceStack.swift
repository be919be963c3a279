/// Which devices are built on which: partitions on disks, LUKS and LVM on partitions, loop devices on files.
struct DeviceStack: Sendable {
    private(set) var below: [String: [String]] = [:]
    private(set) var above: [String: [String]] = [:]

    /// Says that `upper` is built on `lower`.
    mutating func put(_ upper: String, on lower: String) {
        guard upper != lower, !below[upper, default: []].contains(lower) else { return }
        below[upper, default: []].append(lower)
        above[lower, default: []].append(upper)
    }

    /// The devices that `name` is built on, itself first.
    func foundations(of name: String) -> [String] { reached(from: name, along: below).map { $0[$0.count - 1] } }

    /// The ways from `name` to each device built on it; the first is `name` alone.
    func buildings(on name: String) -> [[String]] { reached(from: name, along: above) }

    /// The shortest way to each device that can be reached; a circle, which only a broken tree has, ends the walk.
    private func reached(from name: String, along edges: [String: [String]]) -> [[String]] {
        var ways = [[name]]
        var seen: Set = [name]
        var next = 0
        while next < ways.count {
            let way = ways[next]
            next += 1
            for neighbour in edges[way[way.count - 1]] ?? [] where seen.insert(neighbour).inserted {
                ways.append(way + [neighbour])
            }
        }
        return ways
    }
}
