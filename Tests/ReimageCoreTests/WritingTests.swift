import ReimageCore
import Testing

@Suite struct GrainMapTests {
    private func runs(_ map: borrowing GrainMap, in range: Range<Int>) throws -> [String] {
        var runs: [String] = []
        try map.forEachRun(in: range) { (kind, run) throws(ImageError) in runs.append("\(kind) \(run)") }
        return runs
    }

    @Test func wholeGrainsOnly() throws {
        var map = GrainMap(grainSize: 512, capacity: 4096)
        map.reset(byteCount: 2000, to: .data)
        #expect(try runs(map, in: 0..<2000) == ["data 0..<2000"])
        map.set(.zero, in: 100..<1100)
        #expect(try runs(map, in: 0..<2000) == ["data 0..<512", "zero 512..<1024", "data 1024..<2000"])
        // A run to the batch's end takes the cut grain with it.
        map.set(.hole, in: 1500..<2000)
        #expect(try runs(map, in: 1024..<2000) == ["data 1024..<1536", "hole 1536..<2000"])
        map.set(.unreadable, in: 600..<700)
        map.set(.unreadable, in: 5..<5)
        #expect(try runs(map, in: 512..<1024) == ["zero 512..<1024"])
        #expect(try runs(map, in: 512..<700) == ["zero 512..<700"])
        #expect(try runs(map, in: 512..<512) == [])
    }

    @Test func detectsZeros() throws {
        var bytes = [UInt8](repeating: 0, count: 2000)
        bytes[600] = 1
        var map = GrainMap(grainSize: 512, capacity: 4096)
        map.reset(byteCount: 2000, to: .data)
        map.set(.unreadable, in: 0..<512)
        bytes.withBytes { map.detectZeros(in: $0) }
        #expect(try runs(map, in: 0..<2000) == ["unreadable 0..<512", "data 512..<1024", "zero 1024..<2000"])
        map.reset(byteCount: 100, to: .hole)
        #expect(map.byteCount == 100)
        #expect(try runs(map, in: 0..<100) == ["hole 0..<100"])
    }
}

@Suite struct PlacementTests {
    private func zero(_ start: UInt64, _ count: UInt64, _ mode: ZeroMode = .sparse) -> Placement.Step {
        .zero(HostRange(start: HostOffset(start), count: count), mode)
    }

    private func merged(_ steps: Placement.Step...) -> [Placement.Step] {
        var placement = Placement()
        for step in steps { placement.append(step) }
        return placement.steps
    }

    @Test func neighboursAreMerged() {
        #expect(
            merged(.write(.input(0..<5), at: HostOffset(10)), .write(.input(5..<9), at: HostOffset(15)))
                == [.write(.input(0..<9), at: HostOffset(10))])
        #expect(
            merged(.write(.encoded(0..<5), at: HostOffset(10)), .write(.encoded(5..<9), at: HostOffset(15)))
                == [.write(.encoded(0..<9), at: HostOffset(10))])
        #expect(merged(zero(0, 5), zero(5, 7), zero(12, 1)) == [zero(0, 13)])
    }

    @Test func othersAreNot() {
        let pairs: [(Placement.Step, Placement.Step)] = [
            (.write(.input(0..<5), at: HostOffset(10)), .write(.input(5..<9), at: HostOffset(16))),
            (.write(.input(0..<5), at: HostOffset(10)), .write(.input(6..<9), at: HostOffset(15))),
            (.write(.input(0..<5), at: HostOffset(10)), .write(.encoded(5..<9), at: HostOffset(15))),
            (.write(.metadata([1]), at: HostOffset(0)), .write(.metadata([2]), at: HostOffset(1))),
            (zero(0, 5), zero(6, 1)), (zero(0, 5), zero(5, 1, .written)), (zero(5, 1), zero(4, 1)),
            (.barrier, .barrier), (.setByteCount(1), .setByteCount(2)),
        ]
        for (first, second) in pairs { #expect(merged(first, second) == [first, second]) }
        #expect(merged(zero(0, 5), .barrier, zero(5, 5)).count == 3)
    }

    @Test func removeAll() {
        var placement = Placement()
        placement.append(zero(0, 5))
        placement.removeAll()
        placement.append(zero(5, 5))
        #expect(placement.steps == [zero(5, 5)])
    }
}
