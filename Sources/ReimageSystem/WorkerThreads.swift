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
/// - Parameters:
///   - needsAll: the threads wait for each other, so that fewer of them would never end.
///   - body: gets the thread's number, 0 up to `count`.
/// - Throws: the first error of any body, `.exhausted` where the system gives no thread at all, or not all that are
///   needed.
public func runOnThreads(
    _ count: Int, needsAll: Bool = false, _ body: @escaping @Sendable (Int) throws(ImageError) -> Void
) throws(ImageError) {
    let first = Mutex<ImageError?>(nil)
    let mayRun = Monitor<Bool?>(needsAll ? nil : true)
    let run: @Sendable (Int) -> Void = { number in
        guard mayRun.update(when: { $0 != nil }, { $0 ?? false }) else { return }
        do throws(ImageError) { try body(number) } catch {
            first.withLock { if $0 == nil { $0 = error } }
        }
    }
    var threads: [pthread_t] = []
    var failure: Int32 = 0
    for number in 0..<count {
        switch spawn({ run(number) }) {
        case .started(let thread): threads.append(thread)
        case .failed(let code): failure = code
        }
        if failure != 0 { break }
    }
    if needsAll { mayRun.update { $0 = failure == 0 } }
    for thread in threads { _ = pthread_join(thread, nil) }
    if count > 0, threads.isEmpty || (needsAll && failure != 0) {
        throw ImageError(.exhausted, "no thread can be started: \(systemMessage(failure))", systemCode: failure)
    }
    if let error = first.withLock({ $0 }) { throw error }
}

/// Keeps this thread from working for a while.
public func pauseThread(milliseconds: UInt32) { _ = usleep(milliseconds * 1000) }

/// Runs `body` on a thread of its own that nobody waits for; where the system gives no thread, on this one.
public func startThread(_ body: @escaping @Sendable () -> Void) {
    switch spawn(body) {
    case .started(let thread): _ = pthread_detach(thread)
    case .failed: body()
    }
}

private enum Spawned {
    case started(pthread_t)
    case failed(Int32)
}

private func spawn(_ body: @escaping @Sendable () -> Void) -> Spawned {
    let start = unsafe Unmanaged.passRetained(ThreadBody(body))
    var thread = pthread_t.none
    let failure = unsafe pthread_create(
        &thread, nil,
        { argument in
            // SAFETY: the argument is the retained body that was passed below, taken over once.
            guard let argument = unsafe argument else { return nil }
            unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run()
            return nil
        }, unsafe start.toOpaque())
    guard failure == 0 else {
        unsafe start.release()
        return .failed(failure)
    }
    return .started(thread)
}

/// What a thread is to run, counted while the C library holds it.
private final class ThreadBody: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

extension pthread_t {
    #if canImport(Glibc)
        fileprivate static var none: pthread_t { 0 }
    #else
        fileprivate static var none: pthread_t? { nil }
    #endif
}
