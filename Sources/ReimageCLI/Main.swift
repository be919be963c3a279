internal import ArgumentParser
internal import ReimageCore

@main
struct ReimageMain {
    static func main() {
        Signals.install()
        do {
            let arguments = Array(CommandLine.arguments.dropFirst())
            if let request = InfoRequest(plain: arguments) {
                try request.run()
            } else {
                var command = try parse(arguments)
                try command.run()
            }
            Signals.finish()
        } catch let error as ImageError {
            Console.error(error)
            // That there is something to go on from says more than the signal that ended the work.
            if error.code != .interrupted { Signals.finish() }
            exitProcess(ExitStatus(error.code).rawValue)
        } catch {
            Root.exit(withError: error)
        }
    }

    /// The command that `arguments` ask for.
    ///
    /// The verb they begin with is tried alone first: looking at the options of all verbs takes a good part of the
    /// time of a short command. Whatever it does not take, help among it, is for the root to answer.
    private static func parse(_ arguments: [String]) throws -> any ParsableCommand {
        let arguments = arguments.withResumeMode
        let verb = Root.configuration.subcommands.first { $0.configuration.commandName == arguments.first }
        // For `--help` it gives another command, which knows nothing of the root.
        if let verb, let command = try? verb.parseAsRoot(Array(arguments.dropFirst())), type(of: command) == verb {
            return command
        }
        return try Root.parseAsRoot(arguments)
    }
}

extension [String] {
    /// The same with the mode that the `--resume` of `convert` has where none is named: an option's value is its next argument otherwise.
    fileprivate var withResumeMode: [String] {
        guard first == "convert" else { return self }
        let end = firstIndex(of: "--") ?? endIndex
        return indices.map { $0 < end && self[$0] == "--resume" ? "--resume=prove" : self[$0] }
    }
}

/// `reimage` itself: the list of verbs.
struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reimage",
        abstract: "Turns any virtual disk into another, and proves what it wrote.",
        discussion: """
            EXAMPLES
              reimage convert vm.qcow2 disk.raw             a VM's disk becomes a raw disk
              reimage convert --verify vm.qcow2 disk.raw    … and is read back and compared
              reimage info vm.qcow2                         what the image says of itself
              reimage compare vm.qcow2 disk.raw             exit 0 same, 1 differs, 2 could not compare
              reimage check vm.qcow2                        whether its structures agree with each other
              reimage digest vm.qcow2 disk.raw              one digest, the same in every format
              reimage verify disk.rimg                      whether every byte of an archive is whole
              reimage devices                               the machine's disks, and what uses them
              reimage restore vm.qcow2 /dev/sdb             an image onto a disk, read back and compared
              reimage capture /dev/sdb disk.rimg            a disk into an image of any format

            EXIT STATUS
              0 ok; 1 failure; 3 refused by a safety rule; 4 source damaged or unreadable;
              5 target failed; 6 verify mismatch; 7 interrupted, can be resumed;
              63 not supported by the format; 64 usage.
              compare: 0 same, 1 differs, 2 could not compare.
              check: 0 clean, 1 could not check, 2 corrupt, 3 leaks only.
            """,
        version: "reimage 0.1.0",
        subcommands: [
            Convert.self, Info.self, Map.self, Check.self, Verify.self, Repair.self, Compare.self, Create.self,
            Measure.self, Resize.self, Digest.self, Formats.self, Devices.self, Restore.self, Capture.self,
        ])
}
