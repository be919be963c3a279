internal import ReimageCore

/// How the space that a grown disk gains is reserved.
enum GrowthPreallocation: String, CaseIterable {
    /// What a fixed disk gains is reserved all the same, as Windows opens no VHD whose file has holes.
    case off
    case falloc
    /// Zeros are written out.
    case full

    init(_ request: ResizeRequest, _ kind: Footer.Kind) throws(ImageError) {
        guard let name = request.preallocation else {
            self = .off
            return
        }
        guard let mode = Self(rawValue: name) else {
            throw ImageError(
                .invalidArgument, "a VHD has no preallocation '\(name)'",
                advice: "It is one of: \(Self.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        guard mode == .off || kind == .fixed else {
            throw ImageError(
                .invalidArgument, "a dynamic disk takes space when it is written, and none before",
                advice: "Leave --preallocation away, or convert the image: -o subformat=fixed.")
        }
        self = mode
    }

    var zeroMode: ZeroMode { self == .full ? .written : .allocated }
}

extension Footer {
    /// The geometry for a disk that gets `size` bytes, so that every program takes this size: all of them go by the
    /// bytes for images of Windows, and where the geometry spans as much, or is the largest there is.
    func geometry(forSize size: UInt64) -> Geometry {
        let computed = Geometry(forDisk: size)
        let isExact = computed.byteCount == size
        // An empty geometry would be taken for an empty disk.
        return !geometry.isLargest && (isExact || (creator == .windows && computed.cylinders > 0)) ? computed : .largest
    }
}
