public import ReimageCore
internal import ReimageSystem

extension ImageOpener {
    /// Opens the image file at `path` to be changed in place, under a lock.
    ///
    /// What the image refers to is opened only when the format asks for it, under this opener's policy.
    /// - Parameter format: the format; `nil` looks for one, and takes the bytes as raw where there is none.
    /// - Throws: errors that name the file: `.refused` where another process has it, `.targetFailed` where it cannot
    ///   be opened for writing, `.invalidArgument` where it is no regular file or there is no such format.
    public func openForUpdate(
        _ path: String, format: FormatName? = nil
    ) throws(ImageError) -> (format: any ImageFormat, target: UpdateTarget, context: OpenContext) {
        guard path != Self.standardInput else {
            throw ImageError(.invalidArgument, "standard input cannot be changed in place", file: path)
        }
        do throws(ImageError) {
            let target = UpdateTarget(store: try UpdatableFile(path: path), path: path)
            let (found, _) = try self.format(of: target.source, named: format)
            return (found, target, context(for: target.source))
        } catch {
            throw error.inFile(path)
        }
    }
}
