#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Glibc
#endif

private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// Runs `body` on `count` threads at once, each with its number, and returns when all are done.
///
/// - Returns: whether all threads could be made.
func runOnThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) -> Bool {
    var threads: [pthread_t] = []
    for number in 0..<count {
        // SAFETY: the thread takes the reference that is retained here; where none is made, it is given back.
        let argument = unsafe Unmanaged.passRetained(ThreadBody { body(number) })
        #if canImport(Darwin)
            var thread: pthread_t?
        #else
            var thread = pthread_t()
        #endif
        let made = unsafe pthread_create(
            &thread, nil,
            { argument in
                let pointer: UnsafeMutableRawPointer? = unsafe argument
                if let pointer = unsafe pointer {
                    unsafe Unmanaged<ThreadBody>.fromOpaque(pointer).takeRetainedValue().run()
                }
                return nil
            }, argument.toOpaque())
        guard made == 0 else {
            unsafe argument.release()
            break
        }
        #if canImport(Darwin)
            if let thread { threads.append(thread) }
        #else
            threads.append(thread)
        #endif
    }
    for thread in threads { pthread_join(thread, nil) }
    return threads.count == count
}
