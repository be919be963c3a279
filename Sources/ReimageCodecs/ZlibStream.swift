internal import CZlib

extension z_stream {
    /// Sets the buffers of the next call; at most 4 GiB each.
    mutating func lend(_ input: UnsafeRawBufferPointer, _ output: UnsafeMutableRawBufferPointer) {
        // SAFETY: zlib does not write through next_in, its type lacks the const for old compilers' sake; the caller
        // keeps both buffers alive for the call.
        unsafe next_in = UnsafeMutablePointer(mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        unsafe avail_in = UInt32(input.count)
        unsafe next_out = output.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe avail_out = UInt32(output.count)
    }
}
