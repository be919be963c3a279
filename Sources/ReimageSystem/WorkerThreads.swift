internal import CReimageSystem
public import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The number of processors this process may run on.
public func processorCount() -> Int { Int(reimage_processor_count()) }

/// Runs `body` on `count` threads of its own and returns when all have ended.
///
/// Disk calls block, so this work stays off Swift's cooperative pool. The error that came first is thrown; it is up
/// to `body` to let the other threads know.
/// - Parameter body: gets the thread's number, 0 up to `count`.
/// - Throws: the first error of any body, `.exhausted` where the system gives no thread at all.
public func runOnThreads(
    _ count: Int, _ body: @escaping @Sendable (Int) throws(ImageError) -> Void
) throws(ImageError) {
    let first = Mutex<ImageError?>(nil)
    let run = ThreadBody { number in
        do throws(ImageError) { try body(number) } catch {
            first.withLock { if $0 == nil { $0 = error } }
        }
    }
    var threads: [pthread_t] = []
    var failure: Int32 = 0
    for number in 0..<count {
        let start = unsafe Unmanaged.passRetained(ThreadStart(body: run, number: number))
        var thread = pthread_t.none
        failure = unsafe pthread_create(
            &thread, nil,
            { argument in
                // SAFETY: the argument is the retained start that was passed below, taken over once.
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                start.body.run(start.number)
                return nil
            }, unsafe start.toOpaque())
        guard failure == 0 else {
            unsafe start.release()
            break
        }
        threads.append(thread)
    }
    for thread in threads { _ = pthread_join(thread, nil) }
    if threads.isEmpty && count > 0 {
        throw ImageError(.exhausted, "no thread can be started: \(systemMessage(failure))", systemCode: failure)
    }
    if let error = first.withLock({ $0 }) { throw error }
}

private final class ThreadBody: Sendable {
    let run: @Sendable (Int) -> Void
    init(_ run: @escaping @Sendable (Int) -> Void) { self.run = run }
}

private final class ThreadStart: Sendable {
    let body: ThreadBody
    let number: Int
    init(body: ThreadBody, number: Int) {
        self.body = body
        self.number = number
    }
}

extension pthread_t {
    #if canImport(Glibc)
        fileprivate static var none: pthread_t { 0 }
    #else
        fileprivate static var none: pthread_t? { nil }
    #endif
}
