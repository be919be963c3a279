import Foundation

/// Programs that are not ours, used as filters.
public enum Tool {
    /// What `arguments`, a program and its arguments, print when they are given `input`; `nil`, with the reason
    /// printed, where the program is missing. A program that is there must succeed.
    public static func output(_ arguments: [String], input: [UInt8] = []) -> [UInt8]? {
        guard let program = Program(named: arguments[0]) else { return nil }
        do {
            let result = try program.run(Array(arguments.dropFirst()), input: Data(input))
            precondition(result.status == 0, "\(arguments) failed with \(result.status): \(result.errors)")
            return [UInt8](result.output)
        } catch {
            preconditionFailure("\(arguments) could not be run: \(error)")
        }
    }

    /// What a Python script makes of `input`, which it finds in `data`; it leaves its result in `out`.
    public static func python(_ script: String, _ input: [UInt8]) -> [UInt8]? {
        let program = """
            import sys, zlib
            data = sys.stdin.buffer.read()
            \(script)
            sys.stdout.buffer.write(out)
            """
        return output(["python3", "-c", program], input: input)
    }
}
