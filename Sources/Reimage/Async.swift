public import ReimageCore
public import ReimagePipeline
internal import ReimageSystem

/// Runs blocking work for `async` callers: on a thread of its own, cancelled with the task.
///
/// - Parameter cancellation: what `work` looks at; cancelled when the calling task is.
public func runBlocking<Value: Sendable>(
    cancellation: Cancellation, _ work: @escaping @Sendable () throws(ImageError) -> Value
) async throws -> Value {
    try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            startThread { continuation.resume(with: Result(work)) }
        }
    } onCancel: {
        cancellation.cancel()
    }
}

extension Conversion {
    /// The same as ``run(_:)-(OpenedImage)`` without blocking a thread of the cooperative pool; cancelling the task
    /// ends the conversion and leaves no file.
    public func runAsync(_ source: OpenedImage) async throws -> CopySummary {
        try await runBlocking(cancellation: options.cancellation) { () throws(ImageError) in try run(source) }
    }
}
