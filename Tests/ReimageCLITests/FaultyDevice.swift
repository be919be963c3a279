import Foundation
import TestSupport

/// A loop device, past the cache, over a file of `qemu-storage-daemon`: it fails where it is told to, is slow, or goes
/// away.
final class FaultyDevice {
    enum Fault {
        /// Reads of the 512-byte sector at this byte fail with EIO.
        case failsReads(at: Int)
        /// Writes to it do.
        case failsWrites(at: Int)

        fileprivate var rule: String {
            let (kind, place) =
                switch self {
                case .failsReads(let place): ("read", place)
                case .failsWrites(let place): ("write", place)
                }
            return """
                [inject-error]
                event = "none"
                iotype = "\(kind)"
                errno = "5"
                sector = "\(place / 512)"
                once = "off"

                """
        }
    }

    /// The device's path.
    let path: String
    /// The name of the file that holds what is on it.
    let store: String
    private let bench: RestoreBench
    private let daemon: Process
    private let export: String

    /// A device over the file `store` of the scratch folder, at most `rate` bytes a second where that is given; `nil`,
    /// with the reason printed, where there can be none.
    ///
    /// With a `rate`, writes at the same time get each other's bytes in QEMU 7.2: what is restored to it differs.
    init?(_ bench: RestoreBench, over store: String, _ faults: [Fault] = [], rate: Int? = nil) throws {
        guard let program = Program(named: "qemu-storage-daemon") else { return nil }
        guard FileManager.default.fileExists(atPath: "/dev/fuse") else {
            print("skipped: there is no /dev/fuse")
            return nil
        }
        self.bench = bench
        self.store = store
        let scratch = bench.scratch
        scratch.write(Array(faults.map(\.rule).joined().utf8), to: "\(store).faults")
        export = scratch.write([], to: "\(store).export")
        var arguments = [
            "--blockdev", "driver=file,node-name=file,filename=\(scratch.file(store))",
            "--blockdev", "driver=blkdebug,node-name=debug,image=file,config=\(scratch.file("\(store).faults"))",
            "--blockdev", "driver=raw,node-name=raw,file=debug",
        ]
        if let rate {
            arguments += ["--object", "throttle-group,id=slow,x-bps-total=\(rate)"]
            arguments += ["--blockdev", "driver=throttle,node-name=last,throttle-group=slow,file=raw"]
        }
        arguments += [
            "--export", "fuse,id=e,node-name=\(rate == nil ? "raw" : "last"),mountpoint=\(export),writable=on",
        ]
        daemon = try program.start(arguments, output: FileHandle.nullDevice)
        let errors = Pipe()
        daemon.standardError = errors
        try daemon.run()
        let size = try FileManager.default.attributesOfItem(atPath: scratch.file(store))[.size] as? Int
        for _ in 0..<500 where daemon.isRunning {
            let now = try FileManager.default.attributesOfItem(atPath: export)[.size] as? Int
            if now == size { break }
            usleep(10_000)
        }
        let made = try bench.losetup.run(["-f", "--show", "--direct-io=on", export])
        path = made.text
        guard daemon.isRunning, made.status == 0 else {
            let isRunning = daemon.isRunning
            close()
            let reason =
                isRunning
                ? made.errors : String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            print("skipped: no device that fails can be made: \(reason)")
            return nil
        }
        print("attached: \(path), which fails")
    }

    /// Pulls it out: from now on nothing can be written to it or read.
    func vanish() {
        kill(daemon.processIdentifier, SIGKILL)
        daemon.waitUntilExit()
    }

    private func close() {
        if !path.isEmpty { _ = try? bench.losetup.run(["-d", path]) }
        // Asked to end, it would wait for the kernel to let go of its file.
        vanish()
        if let umount = Program(named: "umount") { _ = try? umount.run(["-l", export]) }
    }

    deinit { close() }
}
