// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .strictMemorySafety(), .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"), .treatAllWarnings(as: .error),
]
let dependencies: [Target.Dependency] = [
    .product(name: "Reimage", package: "reimage"), .product(name: "ReimageTesting", package: "reimage"),
]

// Built by Benchmarks/micro and Benchmarks/latency, apart from the package that it measures.
let package = Package(
    name: "micro",
    dependencies: [.package(name: "reimage", path: "../..")],
    targets: [
        .executableTarget(name: "micro", dependencies: dependencies, swiftSettings: settings),
        .executableTarget(name: "latency", dependencies: dependencies, swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
