public import ReimageCore

extension VHDFormat {
    /// Judges the image by the rules of `azure`, which takes fixed images of whole MiB.
    ///
    /// Geometry and creator are no matter there.
    /// - Throws: `.unsupported` for another profile; `.damaged` where no footer is sound.
    public func check(
        _ source: ImageSource, forProfile profile: String, _ context: OpenContext
    ) throws(ImageError) -> [ProfileRule] {
        do throws(ImageError) {
            guard profile == AzureProfile.name else {
                throw ImageError(
                    .unsupported, "there are no rules called '\(profile)' for images of format \(name)",
                    advice: "Known rules: \(AzureProfile.name).")
            }
            let image = try CheckedImage(
                try source.randomAccess(for: name), try ReaderOptions(context.options), context.cancellation)
            return AzureProfile(image).rules
        } catch {
            throw error.inFile(source.name)
        }
    }
}
