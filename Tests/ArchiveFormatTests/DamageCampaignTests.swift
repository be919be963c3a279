import Foundation
import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Archives damaged in thousands of ways: a sample in every run of the tests, all with `Scripts/campaign-archive-damage`.
///
/// What must hold: damage is told with the exact parts of the disk, or has no effect; one damaged place costs at most one
/// chunk and its duplicates; what is whole is read; nothing else is ever taken for it.
@Suite struct DamageCampaignTests {
    private static let isFull = ProcessInfo.processInfo.environment["REIMAGE_CAMPAIGN"] == "full"

    /// Prints a figure of a whole campaign.
    private func tell(_ text: String) {
        if Self.isFull { print("campaign: \(text)") }
    }

    /// Every `step`th of `places` in a sample, all of them in a campaign.
    private func chosen(_ places: some Sequence<Int>, step: Int) -> [Int] {
        places.enumerated().filter { Self.isFull || $0.offset % step == 0 }.map(\.element)
    }

    // MARK: One bit

    @Test func oneBit() throws {
        let archive = try DamagedArchive.standard.get()
        var random = SeededGenerator(seed: 20)
        let end = archive.bytes.count
        func record(_ type: RecordType, _ number: Int = 0) -> Range<Int> {
            let found = archive.types.indices.filter { archive.types[$0] == type }[number]
            return archive.places[found]..<archive.places[found + 1]
        }
        var places = (0..<(Self.isFull ? 6000 : 120)).map { _ in Int.random(in: 0..<end, using: &random) }
        for part in [0..<4096, record(.footer), end - 64..<end, record(.leaf, 3), record(.root)] {
            places += chosen(part, step: 61)
        }
        var counts = (lossless: 0, lost: 0, harmless: 0)
        for (number, place) in places.enumerated() {
            var bytes = archive.bytes
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            let expected = archive.slots(storedIn: place..<place + 1)
            let what: Comment = "byte \(place)"
            #expect(try archive.lost(in: bytes, touched: [place..<place + 1]) == expected, what)
            let depth: VerifyDepth = number % 16 == 0 ? .full : .stored
            let (summary, findings) = try verify(bytes, depth)
            #expect(summary.lost == archive.ranges(of: expected), what)
            try readByIndex(bytes, archive, expected, using: &random, what)
            if !expected.isEmpty {
                counts.lost += 1
                #expect(!summary.isClean && !findings.isEmpty && summary.digest == nil, what)
                #expect(Set(expected.map { archive.slots[$0] }).count == 1, what)
            } else if summary.isClean {
                counts.harmless += 1
                #expect(archive.isPadding(place) && digestText(summary) == archive.digest, what)
            } else {
                counts.lossless += 1
                #expect(!findings.isEmpty && digestText(summary) == archive.digest, what)
            }
        }
        tell(
            "\(places.count) bits flipped: \(counts.lost) cost one chunk, \(counts.lossless) were told and cost nothing, "
                + "\(counts.harmless) were padding")
    }

    /// Without being told to take what is left, reading gives the right bytes or fails.
    private func readByIndex(
        _ bytes: [UInt8], _ archive: DamagedArchive, _ hit: [Int], using random: inout SeededGenerator, _ what: Comment
    ) throws {
        let slots = hit.prefix(2) + [Int.random(in: archive.slots.indices, using: &random)]
        let opened = Result { () throws(ImageError) in try disk(bytes) }
        guard case .success(let disk) = opened else {
            if case .failure(let error) = opened { #expect(error.code == .damaged || error.code == .unsupported, what) }
            return
        }
        for slot in slots {
            let start = slot * DamagedArchive.chunkSize
            let count = min(DamagedArchive.chunkSize, archive.disk.count - start)
            let found = Result { () throws(ImageError) in
                try disk.bytes(at: GuestOffset(UInt64(start)), count: count, piece: count)
            }
            switch found {
            case .success(let found):
                #expect(!hit.contains(slot), what)
                #expect(found.withBytes { XXH3.hash64($0) } == archive.hash(of: slot), what)
            case .failure(let error): #expect(error.code == .damaged, what)
            }
        }
    }

    // MARK: The end cut off

    @Test func theTailCutOff() throws {
        let archive = try DamagedArchive.standard.get()
        var random = SeededGenerator(seed: 21)
        let end = archive.bytes.count
        var counts = chosen(archive.places.dropFirst(), step: 19)
        counts += (0..<(Self.isFull ? 1000 : 25)).map { _ in Int.random(in: 4160..<end, using: &random) }
        let ends = archive.slotEnds()
        var recovered = 0
        for count in counts {
            let expected = archive.slots.indices.filter { ends[$0] > count }
            let bytes = Array(archive.bytes.prefix(count))
            let found = Result { () throws(ImageError) in try archive.lost(in: bytes, touched: [count..<end]) }
            #expect((try? found.get()) == expected, "cut to \(count): \(found)")
            recovered += archive.slots.count - expected.count
        }
        tell("\(counts.count) cuts: all \(recovered) slots whose records were complete were read")
    }

    // MARK: Everything but the records

    @Test func headerAndIndexWiped() throws {
        let archive = try DamagedArchive.standard.get()
        var random = SeededGenerator(seed: 22)
        var wiped = [0..<4096, archive.places[archive.types.count - 2]..<archive.bytes.count]
        for number in archive.types.indices where archive.types[number] == .leaf {
            wiped.append(archive.places[number]..<archive.places[number + 1])
        }
        for fill in 0..<3 {
            var bytes = archive.bytes
            for place in wiped.joined() {
                bytes[place] = fill == 0 ? 0 : fill == 1 ? 0xFF : UInt8.random(in: 0...255, using: &random)
            }
            #expect(try archive.lost(in: bytes, touched: wiped).isEmpty)
            let (summary, _) = try verify(bytes, .full)
            #expect(summary.lost.isEmpty && digestText(summary) == archive.digest)
        }
        tell("header, FOOT, ROOT, TAIL and all LEAF records wiped together: nothing lost, the digest is right")
    }

    // MARK: Many places

    /// However much is damaged: no other bytes are ever given, and what was not hit is there.
    @Test func manyPlacesAtOnce() throws {
        let archive = try DamagedArchive.standard.get()
        var random = SeededGenerator(seed: 23)
        var lost = 0
        let rounds = Self.isFull ? 2000 : 30
        for _ in 0..<rounds {
            var bytes = archive.bytes
            var touched: [Range<Int>] = []
            for _ in 0..<Int.random(in: 2...12, using: &random) {
                let start = Int.random(in: 0..<bytes.count, using: &random)
                let hole = start..<min(bytes.count, start + Int.random(in: 1...4096, using: &random))
                for place in hole { bytes[place] = UInt8.random(in: 0...255, using: &random) }
                touched.append(hole)
            }
            let found = try Set(archive.lost(in: bytes, touched: touched))
            lost += found.count
            // A chunk whose record was not hit, header and payload, is never lost.
            for slot in archive.owners {
                guard case .data(let entry) = archive.slots[slot] else { continue }
                let record = Int(entry.place.value)..<Int(entry.place.value) + entry.recordByteCount
                if !touched.contains(where: { $0.overlaps(record) }) { #expect(!found.contains(slot), "\(touched)") }
            }
        }
        tell("\(rounds) archives damaged in 2 to 12 places of up to 4 KiB: \(lost) slots lost, none wrong")
    }

    // MARK: Forged numbers

    /// Every field of every structure holds numbers that no archive has, under right checksums.
    @Test func hostileNumbers() throws {
        let archive = try DamagedArchive.small.get()
        let before = peakMemory()
        var count = 0
        for (name, place, size, seal) in archive.fields() {
            var values: [UInt64] = [
                0, 1, .max, .max - 7, 1 << 63, (1 << 63) - 1, 0xFFFF_FFFF, 1 << 32, 1 << 47, 1 << 20,
            ]
            if !Self.isFull { values = [values[count % values.count], .max] }
            for value in values {
                var forgery = Forgery(bytes: archive.bytes)
                forgery.store(value, at: place, size: size)
                seal(&forgery)
                attack(forgery.bytes, "\(name) set to \(value)")
                count += 1
            }
        }
        tell("\(count) forged fields: peak memory grew by \((peakMemory() - before) >> 20) MiB")
        if Self.isFull { #expect(peakMemory() - before < 128 << 20) }
    }

    /// Goes through everything that reads an archive; what it says does not matter, that it ends does.
    private func attack(_ bytes: [UInt8], _ what: String) {
        func expectImageError(_ body: () throws(ImageError) -> Void) {
            do throws(ImageError) { try body() } catch {
                #expect([.damaged, .unsupported, .unreadable].contains(error.code), "\(what): \(error)")
            }
        }
        let store = MemoryStore(bytes, name: "forged")
        expectImageError { () throws(ImageError) in
            let disk = try disk(store)
            let most = min(disk.byteCount, 4 << 20)
            _ = try disk.bytes(at: .zero, count: Int(most), piece: 1 << 20)
            if disk.byteCount > 0 { _ = try disk.bytes(at: GuestOffset(disk.byteCount - 1), count: 1) }
        }
        expectImageError { () throws(ImageError) in
            let index = try RecoveredIndex(store, header: ArchiveImage.header(store), Cancellation())
            guard index.rules.geometry.slots < 1 << 12 else { return }
            let disk = RecoveredDisk(index)
            _ = try disk.bytes(at: .zero, count: Int(disk.byteCount), piece: 1 << 20)
            _ = index.errors()
        }
        expectImageError { () throws(ImageError) in
            _ = try ArchiveFormat().check(ImageSource(store: store), OpenContext()) { _ in }
        }
        expectImageError { () throws(ImageError) in _ = try verify(bytes, .deep) }
    }

    /// The most memory that this process ever had, in bytes; 0 where the system does not tell.
    private func peakMemory() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
}

extension DamagedArchive {
    /// Whether byte `place` lies between a payload and the next record.
    func isPadding(_ place: Int) -> Bool {
        guard let number = record(at: place) else { return false }
        let forgery = Forgery(bytes: bytes)
        let start = places[number]
        let length = Int(forgery.number(at: start + 12) & 0xFFFF_FFFF) + Int(forgery.number(at: start + 16))
        return place >= start + length
    }

    func hash(of slot: Int) -> UInt64 {
        let start = slot * Self.chunkSize
        return disk.withBytes { XXH3.hash64($0.extracting(start..<min(start + Self.chunkSize, disk.count))) }
    }

    /// For every slot, where the record ends that tells of it; padding is not needed.
    func slotEnds() -> [Int] {
        var ends = [Int](repeating: .max, count: slots.count)
        let forgery = Forgery(bytes: bytes)
        for number in types.indices {
            let start = places[number]
            let end = start + Int(forgery.number(at: start + 12) & 0xFFFF_FFFF) + Int(forgery.number(at: start + 16))
            let first = Int(forgery.number(at: start + 64))
            switch types[number] {
            case .chunk: ends[first] = end
            case .run: for slot in first..<first + Int(forgery.number(at: start + 72)) { ends[slot] = end }
            default: break
            }
        }
        return ends
    }

    /// The numbers of all structures: name, place, length, and what puts the checksums around them right.
    func fields() -> [(name: String, place: Int, size: Int, seal: (inout Forgery) -> Void)] {
        var fields: [(name: String, place: Int, size: Int, seal: (inout Forgery) -> Void)] = []
        let layouts: [RecordType: [(Int, Int)]] = [
            .metadata: [], .chunk: [(64, 8), (72, 4), (76, 1), (77, 1), (78, 2), (80, 8), (88, 1)],
            .run: [(64, 8), (72, 8), (80, 1), (81, 1), (88, 8), (96, 8)],
            .leaf: [
                (64, 8), (72, 4), (76, 4), (80, 8), (88, 8), (96, 8), (104, 1), (105, 1), (106, 1), (107, 1), (108, 4),
                (112, 8), (160, 1), (176, 8), (184, 4), (188, 1), (189, 1), (190, 2),
            ],
            .root: [
                (64, 8), (72, 4), (80, 8), (88, 8), (160, 8), (168, 8), (176, 1), (184, 8), (192, 4), (196, 4),
                (200, 8),
            ],
            .footer: (0..<25).filter { ![16, 17, 18, 19, 20, 21, 22, 23].contains($0) }.map { (64 + $0 * 8, 8) },
        ]
        let footer = Forgery(bytes: bytes).footer
        for (type, own) in layouts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            guard let number = types.firstIndex(of: type) else { continue }
            let start = places[number]
            let common = [(8, 2), (10, 1), (11, 1), (12, 4), (16, 8), (24, 8), (32, 8), (40, 8)]
            for (offset, size) in common + own {
                fields.append(("\(type.name) +\(offset)", start + offset, size, { $0.sealHeader(ofRecordAt: start) }))
            }
        }
        for (offset, size) in [
            (8, 2), (10, 2), (12, 4), (16, 8), (24, 8), (32, 8), (64, 8), (72, 4), (76, 4), (80, 1), (81, 1), (82, 1),
            (83, 1), (84, 4), (88, 4), (92, 4), (96, 8), (104, 8), (168, 8),
        ] {
            let copy = footer + 64 + 256
            fields.append(("FH +\(offset)", offset, size, { $0.sealHeader(at: 0) }))
            fields.append(
                (
                    "both FH +\(offset)", offset, size,
                    { forgery in
                        forgery.sealHeader(at: 0)
                        for place in 0..<4096 { forgery.bytes[copy + place] = forgery.bytes[place] }
                        forgery.sealRecord(at: footer)
                    }
                ))
        }
        let tail = bytes.count - 64
        for offset in stride(from: 8, to: 56, by: 8) {
            fields.append(("TAIL +\(offset)", tail + offset, 8, { $0.sealTail() }))
        }
        return fields
    }
}

extension Forgery {
    /// Puts right the checksums of the record at `offset`, as far as its own lengths allow it.
    mutating func sealHeader(ofRecordAt offset: Int) {
        let headerLength = Int(number(at: offset + 12) & 0xFFFF_FFFF)
        let payloadLength = number(at: offset + 16)
        guard headerLength >= 64, headerLength <= 65536, offset + headerLength <= bytes.count else { return }
        if payloadLength < UInt64(bytes.count - offset - headerLength) { return sealRecord(at: offset) }
        store(0, at: offset + 56)
        store(Array(bytes[offset..<offset + headerLength]).withBytes { XXH3.hash64($0) }, at: offset + 56)
    }
}
