internal import ReimageCore

/// How the space that a grown disk gains is reserved.
enum GrowthPreallocation: String, CaseIterable {
    /// Not at all: clusters are taken when they are written.
    case off
    /// Clusters are taken, and the file is as long as it will be; the host gives no space yet.
    case metadata
    /// The host's space is reserved too.
    case falloc
    /// Zeros are written out.
    case full

    init(_ request: ResizeRequest) throws(ImageError) {
        guard let name = request.preallocation else {
            self = .off
            return
        }
        guard let mode = Self(rawValue: name) else {
            throw ImageError(
                .invalidArgument, "preallocation '\(name)' is not known",
                advice: "It is one of: \(Self.allCases.map(\.rawValue).joined(separator: ", ")).")
        }
        self = mode
    }

    /// How the bytes of a new cluster become zeros; `nil` where no cluster is taken.
    var zeroMode: ZeroMode? {
        switch self {
        case .off: nil
        case .metadata: .sparse
        case .falloc: .allocated
        case .full: .written
        }
    }
}
