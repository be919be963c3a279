import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// What is left of a damaged archive: all that the damage did not hit.
@Suite struct RecoveryTests {
    private func expectLost(
        _ lost: [Int], of archive: DamagedArchive, _ damaged: [UInt8], touched: [Range<Int>], _ what: String
    ) {
        let found = Result { () throws(ImageError) in try archive.lost(in: damaged, touched: touched) }
        #expect((try? found.get()) == lost, "\(what): \(found)")
    }

    private func wiped(_ archive: DamagedArchive, _ ranges: [Range<Int>]) -> [UInt8] {
        var bytes = archive.bytes
        for range in ranges { for place in range { bytes[place] = 0 } }
        return bytes
    }

    @Test func theArchiveHasAllThatCanBeDamaged() throws {
        let archive = try DamagedArchive.standard.get()
        let counts = Dictionary(grouping: archive.types) { $0 }.mapValues(\.count)
        #expect(counts[.chunk, default: 0] >= 300)
        #expect(counts[.run, default: 0] >= 20)
        #expect(counts[.leaf, default: 0] >= 25)
        #expect(try contents(archive.bytes) == archive.disk)
        #expect(try archive.lost(in: archive.bytes, touched: [0..<archive.bytes.count]).isEmpty)
    }

    /// The table of the specification, section 9: each structure wiped, alone and with each other.
    @Test func whatIsThereTwiceCanBeLost() throws {
        let archive = try DamagedArchive.small.get()
        let end = archive.bytes.count
        func records(_ type: RecordType) -> [Range<Int>] {
            archive.types.indices.filter { archive.types[$0] == type }.map {
                archive.places[$0]..<archive.places[$0 + 1]
            }
        }
        let parts: [(String, [Range<Int>])] = [
            ("FH", [0..<4096]), ("META", records(.metadata)), ("one LEAF", [records(.leaf)[1]]),
            ("all LEAF", records(.leaf)), ("ROOT", records(.root)), ("FOOT", records(.footer)),
            ("TAIL", [end - 64..<end]),
        ]
        for first in parts {
            for second in parts {
                let touched = first.1 + second.1
                expectLost([], of: archive, wiped(archive, touched), touched: touched, "\(first.0), \(second.0)")
            }
        }
        let all = parts.flatMap(\.1)
        expectLost([], of: archive, wiped(archive, all), touched: all, "all")
    }

    /// The header of a chunk's record is told by its LEAF record, whether or not there is a ROOT record.
    @Test func aRecordHeaderCanBeLost() throws {
        let archive = try DamagedArchive.small.get()
        let root = archive.places[archive.types.count - 2]
        for number in archive.types.indices where [.chunk, .run].contains(archive.types[number]) {
            let place = archive.places[number]
            let header = place..<place + (archive.types[number] == .chunk ? 128 : 104)
            expectLost([], of: archive, wiped(archive, [header]), touched: [header], "header at \(place)")
            guard archive.types[number..<(archive.types.count - 2)].contains(.leaf) else { continue }
            // A RUN record of ranges without LEAF is told by ROOT alone.
            guard archive.types[number] == .chunk else { continue }
            let touched = [header, root..<archive.bytes.count]
            expectLost([], of: archive, wiped(archive, touched), touched: touched, "and no index, header at \(place)")
        }
    }

    @Test func aCutArchiveKeepsAllThatIsComplete() throws {
        let archive = try DamagedArchive.small.get()
        for number in archive.places.indices {
            for count in [archive.places[number], archive.places[number] + 1, archive.places[number] - 1]
            where count > 4200 && count < archive.bytes.count {
                let bytes = Array(archive.bytes.prefix(count))
                let lost = Set(try archive.lost(in: bytes, touched: [count..<archive.bytes.count]))
                for slot in archive.slots.indices {
                    guard case .data(let entry) = archive.slots[slot] else { continue }
                    let isThere = Int(entry.place.value) + entry.recordByteCount <= count
                    // A duplicate needs its RUN record too, or a LEAF record.
                    if !isThere { #expect(lost.contains(slot), "cut to \(count)") }
                    if isThere, archive.owners.contains(slot) {
                        #expect(!lost.contains(slot), "cut to \(count), slot \(slot)")
                    }
                }
            }
        }
    }

    /// An archive that lies on the disk of another, stored as it is, is not taken for it.
    @Test func anArchiveInsideAnother() throws {
        let inner = try DamagedArchive.small.get()
        let padded = inner.bytes + [UInt8](repeating: 0, count: -inner.bytes.count & 65535)
        let outer = try DamagedArchive(padded, runs: [(.data, UInt64(padded.count))], leafLog2: 2) {
            $0.coding = .store
            $0.probes = false
            $0.seed = [1]
        }
        let leaves = outer.types.indices.filter { outer.types[$0] == .leaf }
            .map { outer.places[$0]..<outer.places[$0 + 1] }
        let index = outer.places[outer.types.count - 2]..<outer.bytes.count
        for touched in [[0..<4096], [index], [0..<4096, index], leaves + [0..<4096, index]] {
            expectLost([], of: outer, wiped(outer, touched), touched: touched, "\(touched)")
        }
        // With the header of a stored chunk gone, what lies in it is searched: nothing there is of this archive.
        for number in outer.types.indices where outer.types[number] == .chunk {
            let header = outer.places[number]..<outer.places[number] + 128
            let touched = leaves + [0..<4096, index, header]
            let slot = outer.slots.firstIndex {
                if case .data(let entry) = $0 { Int(entry.place.value) == header.lowerBound } else { false }
            }
            let lost = try Set(outer.lost(in: wiped(outer, touched), touched: touched))
            #expect(try lost.contains(#require(slot)))
            #expect(lost == Set(outer.slots(storedIn: header.upperBound..<header.upperBound + 1)))
        }
    }

    /// Of two archives in one file the first is read.
    @Test func archivesGluedTogether() throws {
        let first = try DamagedArchive.small.get()
        let second = try Golden.named("tiny")
        let bytes = first.bytes + second.bytes
        #expect(throws: ImageError.self) { try contents(bytes) }
        expectLost([], of: first, bytes, touched: [], "glued")
    }

    @Test(arguments: Golden.small)
    func everyGoldenArchiveWithoutItsIndex(_ golden: Golden) throws {
        let whole = try disk(golden.bytes)
        guard whole.byteCount > 0 else { return }
        let right = try contents(golden.bytes)
        let footer = Forgery(golden).footer
        for count in [golden.bytes.count, golden.bytes.count - 1, footer] {
            for hidesHeader in [false, true] {
                var bytes = Array(golden.bytes.prefix(count))
                if hidesHeader { for place in 0..<4096 { bytes[place] = 0 } }
                var context = OpenContext()
                context.readsPartially = true
                let disk = try disk(MemoryStore(bytes), context)
                #expect(disk.byteCount == whole.byteCount)
                #expect(
                    try disk.bytes(at: .zero, count: right.count, piece: 1 << 20) == right, "\(golden.name) \(count)")
                #expect(try extents(disk) == extents(whole))
            }
        }
    }
}

extension DamagedArchive {
    /// The slots whose chunk is stored for themselves.
    var owners: Set<Int> {
        var seen: Set<HostOffset> = []
        return Set(
            slots.indices.filter { slot in
                guard case .data(let entry) = slots[slot] else { return false }
                return seen.insert(entry.place).inserted
            })
    }
}
