public import Foundation

/// What a program that ran has said.
public struct ProgramResult: Sendable {
    /// The exit status; the negative signal number where a signal ended it.
    public var status: Int32
    /// All of standard output.
    public var output: Data
    /// All of standard error.
    public var errors: String

    /// Standard output as text, without white space around it.
    public var text: String {
        String(decoding: output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// A program of this machine, run with a time limit.
public struct Program: Sendable {
    /// Its file.
    public let path: String

    /// The program at `path`.
    public init(path: String) { self.path = path }

    /// The program `name` of the search path; `nil`, with a line printed that says so, where there is none.
    public init?(named name: String) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        let found = (folders.map(String.init) + ["/usr/sbin", "/sbin"]).map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let found else {
            print("skipped: \(name) is not installed")
            return nil
        }
        path = found
    }

    /// The `reimage` that was built beside the running tests.
    public static let reimage: Program? = {
        var folder = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let candidates = CommandLine.arguments.map { URL(fileURLWithPath: $0) } + [Bundle.main.bundleURL, folder]
        for candidate in candidates {
            folder = candidate
            while folder.path != "/" {
                let file = folder.appendingPathComponent("reimage").path
                var isDirectory: ObjCBool = false
                if unsafe FileManager.default.fileExists(atPath: file, isDirectory: &isDirectory),
                    !isDirectory.boolValue,
                    FileManager.default.isExecutableFile(atPath: file)
                {
                    return Program(path: file)
                }
                folder.deleteLastPathComponent()
            }
        }
        print("skipped: the reimage executable was not built")
        return nil
    }()

    /// Starts the program; the caller waits for it.
    ///
    /// - Parameter input: what standard input is; nothing by default.
    public func start(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], input: Any? = nil,
        output: Any? = nil
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardInput = input ?? FileHandle.nullDevice
        if let output { process.standardOutput = output }
        if let folder { process.currentDirectoryURL = URL(fileURLWithPath: folder) }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        return process
    }

    /// A program may end before it has read all its input; that must not end the tests.
    private static let outlivesClosedPipes: Void = { _ = signal(SIGPIPE, SIG_IGN) }()

    /// Runs the program to its end.
    ///
    /// - Parameters:
    ///   - input: bytes for standard input.
    ///   - seconds: after these it is killed, which shows as status -9.
    public func run(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:], input: Data? = nil,
        seconds: Double = 60
    ) throws -> ProgramResult {
        _ = Self.outlivesClosedPipes
        let feed = input.map { _ in Pipe() }
        // A program may end without having read all of it.
        if input != nil { _ = signal(SIGPIPE, SIG_IGN) }
        let process = try start(arguments, in: folder, environment: environment, input: feed)
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let killer = DispatchWorkItem { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds, execute: killer)
        let group = DispatchGroup()
        let collected = Collected()
        DispatchQueue.global().async(group: group) {
            collected.errors = errors.fileHandleForReading.readDataToEndOfFile()
        }
        if let feed, let input {
            DispatchQueue.global().async(group: group) {
                try? feed.fileHandleForWriting.write(contentsOf: input)
                try? feed.fileHandleForWriting.close()
            }
        }
        let text = output.fileHandleForReading.readDataToEndOfFile()
        group.wait()
        process.waitUntilExit()
        killer.cancel()
        let status =
            process.terminationReason == .uncaughtSignal ? -process.terminationStatus : process.terminationStatus
        return ProgramResult(
            status: status, output: text, errors: String(decoding: collected.errors, as: UTF8.self))
    }

    /// Written by one thread, read after it was waited for.
    private final class Collected: @unchecked Sendable { var errors = Data() }
}
