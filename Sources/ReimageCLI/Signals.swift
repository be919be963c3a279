internal import ReimageCore
internal import ReimageSystem
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What signals do: the first SIGINT, SIGTERM or SIGHUP ends the work cleanly, a second one at once; SIGUSR1 prints a
/// line about the progress.
///
/// A thread of its own waits for them, so that nothing runs inside a signal handler. After a clean end the process
/// dies by the signal, as a shell expects of an interrupted program.
enum Signals {
    /// Set by the first signal that asks for an end.
    static let cancellation = Cancellation()

    private static let received = Mutex<Int32>(0)
    private static let report = Mutex<(@Sendable () -> Void)?>(nil)

    /// Takes the signals over; called before any other thread exists.
    static func install() {
        _ = signal(SIGPIPE, SIG_IGN)
        var set = sigset_t()
        _ = unsafe sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] where !isIgnored(number) {
            _ = unsafe sigaddset(&set, number)
        }
        _ = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        let waited = set
        startThread { waitForSignals(waited) }
    }

    /// A process started with `nohup` keeps ignoring what it was told to ignore.
    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard unsafe sigaction(number, nil, &action) == 0 else { return false }
        #if canImport(Glibc)
            let handler = unsafe action.__sigaction_handler.sa_handler
        #else
            let handler = unsafe action.__sigaction_u.__sa_handler
        #endif
        // SAFETY: the two are addresses that are only compared.
        return unsafe unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// What SIGUSR1 prints; `nil` for nothing.
    static func onReport(_ body: (@Sendable () -> Void)?) { report.withLock { $0 = body } }

    /// Dies by the signal that ended the work, if one did.
    static func finish() {
        let number = received.withLock { $0 }
        guard number != 0, cancellation.isCancelled else { return }
        _ = signal(number, SIG_DFL)
        var set = sigset_t()
        _ = unsafe sigemptyset(&set)
        _ = unsafe sigaddset(&set, number)
        _ = unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        _ = raise(number)
    }

    private static func waitForSignals(_ waited: sigset_t) {
        var waited = waited
        while true {
            var number: Int32 = 0
            guard unsafe sigwait(&waited, &number) == 0 else { continue }
            if number == SIGUSR1 {
                report.withLock { $0 }?()
                continue
            }
            let isFirst = received.withLock { received in
                defer { received = number }
                return received == 0
            }
            if !isFirst { _exit(128 + number) }
            cancellation.cancel()
        }
    }
}
